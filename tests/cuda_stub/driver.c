// CUDA's driver library (libcuda.so.1) without a GPU: what torch and Triton ask of it beside the runtime; see runtime.cpp.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef unsigned long long Handle;
struct Config {  // CUlaunchConfig, as far as it is read
    unsigned sizes[6], shared;
    void* stream;
};

int cudaDeviceGetAttribute(int*, int, int);
int cudaGetDeviceCount(int*);
int cudaGetDevice(int*);
int cudaSetDevice(int);
int cuda_stub_create(Handle*, size_t);
int cuda_stub_free_reserved(Handle);
int cuda_stub_launch(const char*, const unsigned*, void*);
int cuda_stub_release(Handle);
int cuda_stub_reserve(Handle*, size_t);

static int contexts[64];  // one for each GPU, by address

int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int* version) { return *version = 12080, 0; }
int cuDeviceGet(int* device, int number) { return *device = number, 0; }
int cuDeviceGetCount(int* count) { return cudaGetDeviceCount(count); }
int cuDeviceGetAttribute(int* value, int attribute, int device) {
    return cudaDeviceGetAttribute(value, attribute, device);
}
int cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) { return *flags = 0, *active = 1, 0; }
int cuDevicePrimaryCtxRetain(void** context, int device) { return *context = contexts + device, 0; }
int cuCtxGetCurrent(void** context) {
    int device;
    cudaGetDevice(&device);
    return *context = contexts + device, 0;
}
int cuCtxSetCurrent(void* context) { return context ? cudaSetDevice((int*)context - contexts) : 0; }
int cuCtxGetDevice(int* device) { return cudaGetDevice(device); }
int cuCtxGetLimit(size_t* value, int limit) { return *value = 0, 0; }
int cuCtxSetLimit(int limit, size_t value) { return 0; }
int cuGetErrorString(int error, const char** text) {
    *text = error == 2 ? "out of memory" : error == 801 ? "operation not supported" : "an error of the CUDA stub";
    return 0;
}

int cuModuleLoad(void** module, const char* file) { return *module = contexts, 0; }
int cuModuleLoadData(void** module, const void* data) { return *module = contexts, 0; }
int cuModuleLoadDataEx(void** module, const void* data, unsigned count, void* options, void** values) {
    return *module = contexts, 0;
}
int cuModuleUnload(void* module) { return 0; }
int cuModuleGetFunction(void** function, void* module, const char* name) { return *function = strdup(name), 0; }
int cuFuncGetAttribute(int* value, int attribute, void* function) {
    return *value = attribute == 0 ? 1024 : attribute == 4 ? 32 : 0, 0;  // threads in a block, registers
}
int cuFuncSetAttribute(void* function, int attribute, int value) { return 0; }
int cuFuncSetCacheConfig(void* function, int config) { return 0; }
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* count, void* function, int threads, size_t shared) {
    return *count = 2, 0;
}
int cuOccupancyMaxActiveClusters(int* count, void* function, void* config) { return *count = 1, 0; }
int cuLaunchKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned x, unsigned y,
                   unsigned z, unsigned shared, void* stream, void** parameters, void** extra) {
    unsigned sizes[] = {grid_x, grid_y, grid_z, x, y, z};
    return cuda_stub_launch(function, sizes, stream);
}
int cuLaunchKernelEx(const struct Config* config, void* function, void** parameters, void** extra) {
    return cuda_stub_launch(function, config->sizes, config->stream);
}
int cuLaunchCooperativeKernel(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned x, unsigned y,
                              unsigned z, unsigned shared, void* stream, void** parameters) {
    return cuLaunchKernel(function, grid_x, grid_y, grid_z, x, y, z, shared, stream, parameters, NULL);
}
int cuPointerGetAttribute(void* value, int attribute, Handle address) {
    if (attribute == 3) *(Handle*)value = address;  // its address on the GPU, which is the same
    return 0;
}

int cuMemCreate(Handle* handle, size_t size, const void* properties, Handle flags) {
    return cuda_stub_create(handle, size);
}
int cuMemRelease(Handle handle) { return cuda_stub_release(handle); }
int cuMemAddressReserve(Handle* address, size_t size, size_t alignment, Handle hint, Handle flags) {
    return cuda_stub_reserve(address, size);
}
int cuMemAddressFree(Handle address, size_t size) { return cuda_stub_free_reserved(address); }
int cuMemMap(Handle address, size_t size, size_t offset, Handle handle, Handle flags) { return 0; }
int cuMemUnmap(Handle address, size_t size) { return madvise((void*)address, size, MADV_DONTNEED), 0; }
int cuMemSetAccess(Handle address, size_t size, const void* access, size_t count) { return 0; }
int cuMemGetAllocationGranularity(size_t* size, const void* properties, int option) { return *size = 2 << 20, 0; }

int cuGetProcAddress_v2(const char* name, void** function, int version, Handle flags, int* found) {
    *function = dlsym(RTLD_DEFAULT, name);
    if (found) *found = *function ? 0 : 1;
    return 0;
}

// torch looks these up together with those above.
#define UNSUPPORTED(name) \
    int name() { return 801; }
UNSUPPORTED(cuCtxFromGreenCtx)
UNSUPPORTED(cuCtxPopCurrent)
UNSUPPORTED(cuCtxPushCurrent)
UNSUPPORTED(cuDevResourceGenerateDesc)
UNSUPPORTED(cuDevSmResourceSplitByCount)
UNSUPPORTED(cuDeviceGetDevResource)
UNSUPPORTED(cuGreenCtxCreate)
UNSUPPORTED(cuGreenCtxDestroy)
UNSUPPORTED(cuLinkAddData_v2)
UNSUPPORTED(cuLinkComplete)
UNSUPPORTED(cuLinkCreate_v2)
UNSUPPORTED(cuMemExportToShareableHandle)
UNSUPPORTED(cuMemImportFromShareableHandle)
UNSUPPORTED(cuMemsetD32Async)
UNSUPPORTED(cuMulticastAddDevice)
UNSUPPORTED(cuMulticastBindMem)
UNSUPPORTED(cuMulticastCreate)
UNSUPPORTED(cuStreamWriteValue32)
UNSUPPORTED(cuTensorMapEncodeTiled)

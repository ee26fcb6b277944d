// CUDA's runtime library (libcudart.so.12) without a GPU: kernels compute nothing, everything else is counted.
//
// Memory of a GPU is limited as a GPU's is; it is zero and stays so, whatever is copied to it. Streams are empty at once.
// Captures follow the rules of "CUDA graphs" in NVIDIA's CUDA C++ Programming Guide: a call that would
// invalidate a capture on a GPU does so here. Each capture and each broken rule is a line in the file CUDA_STUB_REPORT.
// Settings, such as "gpus", come from the environment as CUDA_STUB_GPUS or from cuda_stub_set.
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))
#define LOCKED std::lock_guard<std::recursive_mutex> locked(mutex)

namespace {

std::recursive_mutex mutex;

// ---- settings and report

std::map<std::string, long> read_settings() {
    std::map<std::string, long> values = {
        {"gpus", 1},
        {"capability", 75},      // of the T4; 90 is 9.0
        {"memory_mb", 15095},
        {"foreign_mb", 0},       // held by another program on each GPU
        {"copied_bytes", 0},     // copies of at most so many arrive on the GPU
        {"fail_after", -1},      // launches after which the GPU answers nothing any more
        {"no_capture", 0},
        {"no_mapping", 0},       // as on a virtual GPU
    };
    for (auto& [name, value] : values) {
        std::string variable = "CUDA_STUB_" + name;
        std::transform(variable.begin(), variable.end(), variable.begin(), toupper);
        if (const char* given = getenv(variable.c_str())) value = atol(given);
    }
    return values;
}

std::map<std::string, long>& settings() {
    static std::map<std::string, long> values = read_settings();
    return values;
}

long setting(const char* name) {
    LOCKED;
    return settings().at(name);
}

__attribute__((format(printf, 1, 2))) void report(const char* format, ...) {
    static FILE* file = getenv("CUDA_STUB_REPORT") ? fopen(getenv("CUDA_STUB_REPORT"), "a") : nullptr;
    if (!file) return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputc('\n', file);
    fflush(file);
}

// ---- threads, devices and errors

thread_local int current = 0;
thread_local cudaError_t last_error = cudaSuccess;
thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;
thread_local char this_thread;  // its address is the thread's name
long launches = 0;

cudaError_t result(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

bool failed() {
    long limit = setting("fail_after");
    return limit >= 0 && launches >= limit;
}
#define FAIL_IF_FAILED \
    if (failed()) return result(cudaErrorIllegalAddress)

// ---- memory

struct Block {
    size_t size;
    int device;
    bool on_gpu, counted;
};
std::map<uintptr_t, Block> blocks;
std::map<int, size_t> used;

std::map<uintptr_t, Block>::iterator block_of(const void* address) {
    auto at = blocks.upper_bound((uintptr_t)address);
    if (at == blocks.begin()) return blocks.end();
    --at;
    return (uintptr_t)address < at->first + at->second.size ? at : blocks.end();
}

bool on_gpu(const void* address) {
    auto at = block_of(address);
    return at != blocks.end() && at->second.on_gpu;
}

size_t total_bytes() { return (size_t)setting("memory_mb") << 20; }

bool fits(size_t size) { return used[current] + size + ((size_t)setting("foreign_mb") << 20) <= total_bytes(); }

size_t in_pages(size_t size) { return (std::max<size_t>(size, 1) + 4095) & ~size_t(4095); }

void* new_block(size_t size, bool gpu, bool counted) {
    void* address =
        mmap(nullptr, in_pages(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) return nullptr;
    blocks[(uintptr_t)address] = {size, current, gpu, counted};
    if (counted) used[current] += size;
    return address;
}

bool end_block(void* address) {
    auto at = blocks.find((uintptr_t)address);
    if (at == blocks.end()) return false;
    if (at->second.counted) used[at->second.device] -= at->second.size;
    munmap(address, in_pages(at->second.size));
    blocks.erase(at);
    return true;
}

void copy(void* to, const void* from, size_t size) {
    if (!on_gpu(to) || (long)size <= setting("copied_bytes")) memmove(to, from, size);
}

// ---- captures

struct Graph {
    size_t kernels = 0, copies = 0, copied = 0, fills = 0;
    std::vector<std::function<void()>> moves;
};

struct Capture {
    unsigned long long number;
    cudaStream_t origin;
    cudaStreamCaptureMode mode;
    const char* thread;
    Graph* graph = new Graph;
    std::map<cudaStream_t, bool> joined;  // each stream in it, true while the origin waits for its last work
    std::string broken_by;
};
std::map<cudaStream_t, Capture*> capture_of;
std::set<Capture*> captures;

struct Event {
    cudaStream_t stream = nullptr;
    Capture* capture = nullptr;
    double milliseconds = 0;
    bool recorded = false;
};

cudaError_t break_capture(Capture* capture, const std::string& call, cudaError_t error) {
    report("broken: %s in capture %llu", call.c_str(), capture->number);
    if (captures.count(capture)) capture->broken_by = call;
    return result(error);
}

// Calls that wait, or that allocate: forbidden to the capturing thread, and to others if the capture says so.
cudaError_t unless_capturing(const char* call) {
    FAIL_IF_FAILED;
    if (thread_mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
    for (Capture* capture : captures) {
        bool own = capture->thread == &this_thread && capture->mode != cudaStreamCaptureModeRelaxed;
        bool everywhere = capture->mode == cudaStreamCaptureModeGlobal && thread_mode == cudaStreamCaptureModeGlobal;
        if (own || everywhere) return break_capture(capture, call, cudaErrorStreamCaptureUnsupported);
    }
    return cudaSuccess;
}

cudaError_t wait_for(cudaStream_t stream, const char* call) {
    auto at = capture_of.find(stream);
    if (at != capture_of.end()) return break_capture(at->second, call, cudaErrorStreamCaptureUnsupported);
    return unless_capturing(call);
}

// The capture that work on this stream becomes part of; work beside a capture of the same thread is reported.
Capture* capture_for(cudaStream_t stream, const std::string& work) {
    auto at = capture_of.find(stream);
    if (at != capture_of.end()) {
        at->second->joined[stream] = at->second->origin == stream;
        return at->second;
    }
    for (Capture* capture : captures)
        if (capture->thread == &this_thread) report("broken: %s beside capture %llu", work.c_str(), capture->number);
    return nullptr;
}

cudaError_t launch(const std::string& kernel, dim3 grid, dim3 block, cudaStream_t stream) {
    LOCKED;
    FAIL_IF_FAILED;
    bool empty = !grid.x || !grid.y || !grid.z || !block.x || !block.y || !block.z;
    if (empty || block.x * block.y * block.z > 1024 || grid.y > 65535 || grid.z > 65535) {
        report("broken: %s has grid %u %u %u, block %u %u %u", kernel.c_str(), grid.x, grid.y, grid.z, block.x, block.y,
               block.z);
        return result(cudaErrorInvalidConfiguration);
    }
    ++launches;
    if (Capture* capture = capture_for(stream, kernel)) ++capture->graph->kernels;
    return cudaSuccess;
}

// ---- what is registered by each library that holds kernels

std::map<const void*, std::string> kernel_names;
std::map<const void*, std::pair<void*, size_t>> variables;
struct Configuration {
    dim3 grid, block;
    size_t shared;
    void* stream;
};
thread_local std::vector<Configuration> configurations;

}  // namespace

API void cuda_stub_set(const char* name, long value) {
    LOCKED;
    settings().at(name) = value;
}
API long cuda_stub_launches() { return launches; }
API long cuda_stub_used(int device) {
    LOCKED;
    return (long)used[device];
}
// Launches of other libraries: name, grid and block of three numbers each, stream.
API int cuda_stub_launch(const char* kernel, const unsigned* sizes, void* stream) {
    dim3 one(1, 1, 1);
    if (!sizes) return launch(kernel, one, one, (cudaStream_t)stream);
    dim3 grid(sizes[0], sizes[1], sizes[2]), block(sizes[3], sizes[4], sizes[5]);
    return launch(kernel, grid, block, (cudaStream_t)stream);
}
// Memory that is mapped: 0, or CUDA's error 2 (out of memory) or 801 (not supported).
API int cuda_stub_create(unsigned long long* handle, size_t size) {
    LOCKED;
    if (setting("no_mapping")) return 801;
    if (!fits(size)) return 2;
    used[current] += size;
    *handle = (unsigned long long)new std::pair<size_t, int>(size, current);
    return 0;
}
API int cuda_stub_release(unsigned long long handle) {
    LOCKED;
    auto* memory = (std::pair<size_t, int>*)handle;
    used[memory->second] -= memory->first;
    delete memory;
    return 0;
}
API int cuda_stub_reserve(unsigned long long* address, size_t size) {
    LOCKED;
    if (setting("no_mapping")) return 801;
    *address = (unsigned long long)new_block(size, true, false);
    return *address ? 0 : 2;
}
API int cuda_stub_free_reserved(unsigned long long address) {
    LOCKED;
    end_block((void*)address);
    return 0;
}

API void** __cudaRegisterFatBinary(void*) { return (void**)calloc(1, sizeof(void*)); }
API void __cudaRegisterFatBinaryEnd(void**) {}
API void __cudaUnregisterFatBinary(void**) {}
API char __cudaInitModule(void**) { return 0; }
API void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, void*, void*, void*, void*,
                                int*) {
    LOCKED;
    kernel_names[host] = name;
}
API void __cudaRegisterVar(void**, char* host, char*, const char*, int, size_t size, int, int) {
    LOCKED;
    variables[host] = {calloc(1, size + 1), size};
}
API unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, void* stream) {
    configurations.push_back({grid, block, shared, stream});
    return 0;
}
API cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
    Configuration last = configurations.back();
    configurations.pop_back();
    *grid = last.grid, *block = last.block, *shared = last.shared, *(void**)stream = last.stream;
    return cudaSuccess;
}
API cudaError_t cudaGetSymbolAddress(void** address, const void* symbol) {
    LOCKED;
    *address = variables.at(symbol).first;
    return cudaSuccess;
}
API cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* from, size_t size, size_t offset, cudaMemcpyKind) {
    LOCKED;
    memcpy((char*)variables.at(symbol).first + offset, from, size);
    return cudaSuccess;
}
API cudaError_t cudaLaunchKernel(const void* kernel, dim3 grid, dim3 block, void**, size_t, cudaStream_t stream) {
    return launch(kernel_names[kernel], grid, block, stream);
}
API cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* kernel, void**) {
    return launch(kernel_names[kernel], config->gridDim, config->blockDim, config->stream);
}
API cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
    *attributes = {};
    attributes->maxThreadsPerBlock = 1024;
    attributes->numRegs = 32;
    attributes->maxDynamicSharedSizeBytes = 65536;
    attributes->ptxVersion = attributes->binaryVersion = setting("capability");
    return cudaSuccess;
}
API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* count, const void*, int, size_t, unsigned) {
    *count = 2;
    return cudaSuccess;
}

API cudaError_t cudaGetDeviceCount(int* count) {
    *count = setting("gpus");
    return *count ? cudaSuccess : result(cudaErrorNoDevice);
}
API cudaError_t cudaGetDevice(int* device) {
    *device = current;
    return cudaSuccess;
}
API cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= setting("gpus")) return result(cudaErrorInvalidDevice);
    current = device;
    FAIL_IF_FAILED;
    return cudaSuccess;
}
API cudaError_t cudaGetDeviceProperties_v2(cudaDeviceProp* properties, int) {
    *properties = {};
    strcpy(properties->name, "CUDA stub");
    properties->major = setting("capability") / 10, properties->minor = setting("capability") % 10;
    properties->totalGlobalMem = total_bytes();
    properties->warpSize = 32, properties->multiProcessorCount = 40;
    properties->maxThreadsPerBlock = properties->maxThreadsPerMultiProcessor = 1024;
    properties->maxThreadsDim[0] = properties->maxThreadsDim[1] = 1024, properties->maxThreadsDim[2] = 64;
    properties->maxGridSize[0] = 2147483647, properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
    properties->sharedMemPerBlock = 49152, properties->sharedMemPerBlockOptin = 65536;
    properties->sharedMemPerMultiprocessor = 65536;
    properties->regsPerBlock = properties->regsPerMultiprocessor = 65536;
    properties->maxBlocksPerMultiProcessor = 16, properties->l2CacheSize = 4 << 20;
    properties->clockRate = 1590000, properties->memoryClockRate = 5001000, properties->memoryBusWidth = 256;
    properties->unifiedAddressing = properties->canMapHostMemory = properties->managedMemory = 1;
    return cudaSuccess;
}
API cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    static const std::map<int, int cudaDeviceProp::*> fields = {
        {cudaDevAttrComputeCapabilityMajor, &cudaDeviceProp::major},
        {cudaDevAttrComputeCapabilityMinor, &cudaDeviceProp::minor},
        {cudaDevAttrMaxThreadsPerBlock, &cudaDeviceProp::maxThreadsPerBlock},
        {cudaDevAttrWarpSize, &cudaDeviceProp::warpSize},
        {cudaDevAttrMultiProcessorCount, &cudaDeviceProp::multiProcessorCount},
        {cudaDevAttrMaxThreadsPerMultiProcessor, &cudaDeviceProp::maxThreadsPerMultiProcessor},
        {cudaDevAttrMaxBlocksPerMultiprocessor, &cudaDeviceProp::maxBlocksPerMultiProcessor},
        {cudaDevAttrClockRate, &cudaDeviceProp::clockRate},
    };
    cudaDeviceProp properties;
    cudaGetDeviceProperties_v2(&properties, device);
    auto field = fields.find(attribute);
    *value = field != fields.end()                                ? properties.*field->second
             : attribute == cudaDevAttrMaxGridDimX                ? properties.maxGridSize[0]
             : attribute == cudaDevAttrMaxGridDimY                ? properties.maxGridSize[1]
             : attribute == cudaDevAttrMaxSharedMemoryPerBlock    ? 49152
             : attribute == cudaDevAttrMaxSharedMemoryPerBlockOptin ||
                       attribute == cudaDevAttrMaxSharedMemoryPerMultiprocessor
                 ? 65536
                 : 0;
    return cudaSuccess;
}
API cudaError_t cudaDeviceGetPCIBusId(char* text, int size, int device) {
    snprintf(text, size, "0000:00:%02x.0", device + 4);
    return cudaSuccess;
}
API cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return cudaSuccess;
}
API cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) {
    *can = 0;
    return cudaSuccess;
}
API cudaError_t cudaDeviceSynchronize() {
    LOCKED;
    return unless_capturing("cudaDeviceSynchronize");
}
API cudaError_t cudaDriverGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
API cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
API const char* cudaGetErrorName(cudaError_t) { return "cudaError"; }
API const char* cudaGetErrorString(cudaError_t error) {
    switch (error) {
        case cudaSuccess:
            return "no error";
        case cudaErrorMemoryAllocation:
            return "out of memory";
        case cudaErrorIllegalAddress:
            return "an illegal memory access was encountered";
        case cudaErrorStreamCaptureUnsupported:
            return "operation not permitted when stream is capturing";
        case cudaErrorStreamCaptureInvalidated:
            return "operation failed due to a previous error during capture";
        default:
            return "an error of the CUDA stub";
    }
}
API cudaError_t cudaGetLastError() {
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}
API cudaError_t cudaPeekAtLastError() { return last_error; }

API cudaError_t cudaMalloc(void** address, size_t size) {
    LOCKED;
    *address = nullptr;
    if (cudaError_t error = unless_capturing("cudaMalloc")) return error;
    *address = fits(size) ? new_block(size, true, true) : nullptr;
    return *address ? cudaSuccess : result(cudaErrorMemoryAllocation);
}
API cudaError_t cudaFree(void* address) {
    LOCKED;
    if (!address) {
        FAIL_IF_FAILED;
        return cudaSuccess;
    }
    if (cudaError_t error = unless_capturing("cudaFree")) return error;
    return end_block(address) ? cudaSuccess : result(cudaErrorInvalidValue);
}
API cudaError_t cudaHostAlloc(void** address, size_t size, unsigned) {
    LOCKED;
    if (cudaError_t error = unless_capturing("cudaHostAlloc")) return error;
    *address = new_block(size, false, false);
    return *address ? cudaSuccess : result(cudaErrorMemoryAllocation);
}
API cudaError_t cudaFreeHost(void* address) {
    LOCKED;
    if (cudaError_t error = unless_capturing("cudaFreeHost")) return error;
    return end_block(address) ? cudaSuccess : result(cudaErrorInvalidValue);
}
API cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    LOCKED;
    FAIL_IF_FAILED;
    *total = total_bytes();
    size_t taken = used[current] + ((size_t)setting("foreign_mb") << 20);
    *free = *total - std::min(taken, *total);
    return cudaSuccess;
}
API cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
    LOCKED;
    *attributes = {};
    auto at = block_of(address);
    if (at == blocks.end()) {
        attributes->type = cudaMemoryTypeUnregistered;
        return cudaSuccess;
    }
    attributes->type = at->second.on_gpu ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
    attributes->device = at->second.device;
    attributes->devicePointer = (void*)address;
    attributes->hostPointer = at->second.on_gpu ? nullptr : (void*)address;
    return cudaSuccess;
}
API cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind) {
    LOCKED;
    if (cudaError_t error = unless_capturing("cudaMemcpy")) return error;
    copy(to, from, size);
    return cudaSuccess;
}
API cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind, cudaStream_t stream) {
    LOCKED;
    FAIL_IF_FAILED;
    Capture* capture = capture_for(stream, "cudaMemcpyAsync");
    if (!capture) {
        copy(to, from, size);
        return cudaSuccess;
    }
    if (block_of(to) == blocks.end() || block_of(from) == blocks.end())
        return break_capture(capture, "a copy of pageable memory", cudaErrorStreamCaptureUnsupported);
    ++capture->graph->copies;
    capture->graph->copied += size;
    capture->graph->moves.push_back([=] { copy(to, from, size); });
    return cudaSuccess;
}
API cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t size, cudaStream_t stream) {
    return cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, stream);
}
API cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                                  size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
    cudaError_t error = cudaSuccess;
    for (size_t row = 0; row < height && !error; ++row)
        error = cudaMemcpyAsync((char*)to + row * to_pitch, (char*)from + row * from_pitch, width, kind, stream);
    return error;
}
API cudaError_t cudaMemset(void*, int, size_t) {
    LOCKED;
    return unless_capturing("cudaMemset");
}
API cudaError_t cudaMemsetAsync(void*, int, size_t, cudaStream_t stream) {
    LOCKED;
    FAIL_IF_FAILED;
    if (Capture* capture = capture_for(stream, "cudaMemsetAsync")) ++capture->graph->fills;
    return cudaSuccess;
}

API cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    *event = (cudaEvent_t) new Event;
    return cudaSuccess;
}
API cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
API cudaError_t cudaEventDestroy(cudaEvent_t event) {
    FAIL_IF_FAILED;
    delete (Event*)event;
    return cudaSuccess;
}
API cudaError_t cudaEventRecordWithFlags(cudaEvent_t handle, cudaStream_t stream, unsigned) {
    LOCKED;
    FAIL_IF_FAILED;
    auto at = capture_of.find(stream);
    double now = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
    *(Event*)handle = {stream, at == capture_of.end() ? nullptr : at->second, now, true};
    return cudaSuccess;
}
API cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    return cudaEventRecordWithFlags(event, stream, 0);
}
API cudaError_t cudaEventQuery(cudaEvent_t event) {
    LOCKED;
    Capture* capture = ((Event*)event)->capture;
    return capture ? break_capture(capture, "cudaEventQuery", cudaErrorCapturedEvent)
                   : unless_capturing("cudaEventQuery");
}
API cudaError_t cudaEventSynchronize(cudaEvent_t event) { return cudaEventQuery(event); }
API cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    if (!((Event*)begin)->recorded || !((Event*)end)->recorded) return result(cudaErrorInvalidResourceHandle);
    *milliseconds = ((Event*)end)->milliseconds - ((Event*)begin)->milliseconds;
    return cudaSuccess;
}

API cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned, int) {
    static std::atomic<long> next{0x1000};
    *stream = (cudaStream_t)(next += 16);
    return cudaSuccess;
}
API cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithPriority(stream, 0, 0); }
API cudaError_t cudaStreamGetPriority(cudaStream_t, int* priority) {
    *priority = 0;
    return cudaSuccess;
}
API cudaError_t cudaStreamQuery(cudaStream_t stream) {
    LOCKED;
    return wait_for(stream, "cudaStreamQuery");
}
API cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    LOCKED;
    return wait_for(stream, "cudaStreamSynchronize");
}
API cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t handle, unsigned) {
    LOCKED;
    auto* event = (Event*)handle;
    auto at = capture_of.find(stream);
    Capture* theirs = captures.count(event->capture) ? event->capture : nullptr;
    if (theirs && at == capture_of.end()) {  // the stream becomes part of the capture
        capture_of[stream] = theirs;
        theirs->joined[stream] = false;
    } else if (theirs && at->second != theirs) {
        return break_capture(theirs, "a wait for another capture", cudaErrorStreamCaptureMerge);
    } else if (theirs) {
        theirs->joined[event->stream] = true;
    } else if (at != capture_of.end() && event->recorded) {
        return break_capture(at->second, "a wait for work before it", cudaErrorStreamCaptureIsolation);
    }
    return cudaSuccess;
}
API cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
    {
        LOCKED;
        if (Capture* capture = capture_for(stream, "cudaLaunchHostFunc"))
            return break_capture(capture, "a function of the host", cudaErrorStreamCaptureUnsupported);
    }
    function(data);
    return cudaSuccess;
}
API cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t function, void* data, unsigned) {
    function(stream, cudaSuccess, data);
    return cudaSuccess;
}

API cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    LOCKED;
    FAIL_IF_FAILED;
    static unsigned long long number = 0;
    if (!stream || setting("no_capture")) return result(cudaErrorStreamCaptureUnsupported);
    if (capture_of.count(stream)) return result(cudaErrorIllegalState);
    auto* capture = new Capture{++number, stream, mode, &this_thread};
    capture->joined[stream] = true;
    capture_of[stream] = capture;
    captures.insert(capture);
    return cudaSuccess;
}
API cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    LOCKED;
    *graph = nullptr;
    auto at = capture_of.find(stream);
    if (at == capture_of.end()) return result(cudaErrorIllegalState);
    Capture* capture = at->second;
    if (capture->origin != stream) return result(cudaErrorStreamCaptureUnmatched);
    for (auto one = capture_of.begin(); one != capture_of.end();)
        one = one->second == capture ? capture_of.erase(one) : std::next(one);
    captures.erase(capture);
    if (!capture->broken_by.empty()) return result(cudaErrorStreamCaptureInvalidated);
    for (auto& [other, joined] : capture->joined)
        if (!joined) return break_capture(capture, "a stream that was not joined", cudaErrorStreamCaptureUnjoined);
    Graph* made = capture->graph;
    report("captured: %zu kernels, %zu copies, %zu bytes copied, %zu fills", made->kernels, made->copies, made->copied,
           made->fills);
    *graph = (cudaGraph_t)made;
    return cudaSuccess;
}
API cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
    LOCKED;
    auto at = capture_of.find(stream);
    *status = at == capture_of.end()            ? cudaStreamCaptureStatusNone
              : at->second->broken_by.empty() ? cudaStreamCaptureStatusActive
                                              : cudaStreamCaptureStatusInvalidated;
    return cudaSuccess;
}
API cudaError_t cudaStreamGetCaptureInfo_v2(cudaStream_t stream, cudaStreamCaptureStatus* status,
                                            unsigned long long* number, cudaGraph_t* graph,
                                            const cudaGraphNode_t** dependencies, size_t* count) {
    LOCKED;
    cudaStreamIsCapturing(stream, status);
    auto at = capture_of.find(stream);
    if (at == capture_of.end()) return cudaSuccess;
    if (number) *number = at->second->number;
    if (graph) *graph = (cudaGraph_t)at->second->graph;
    if (dependencies) *dependencies = nullptr;
    if (count) *count = 0;
    return cudaSuccess;
}
API cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
    std::swap(*mode, thread_mode);
    return cudaSuccess;
}
API cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
    *executable = (cudaGraphExec_t) new Graph(*(Graph*)graph);
    return cudaSuccess;
}
API cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags) {
    return cudaGraphInstantiateWithFlags(executable, graph, flags);
}
API cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    LOCKED;
    FAIL_IF_FAILED;
    ++launches;
    for (auto& move : ((Graph*)graph)->moves) move();
    return cudaSuccess;
}
API cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    FAIL_IF_FAILED;
    delete (Graph*)graph;
    return cudaSuccess;
}
API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    FAIL_IF_FAILED;
    delete (Graph*)graph;
    return cudaSuccess;
}
API cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, size_t* count) {
    auto* of = (Graph*)graph;
    *count = of->kernels + of->copies + of->fills;
    return cudaSuccess;
}

API cudaError_t cudaGetDriverEntryPoint(const char* name, void** function, unsigned long long,
                                        cudaDriverEntryPointQueryResult* found) {
    static void* driver = dlopen("libcuda.so.1", RTLD_NOW);
    *function = dlsym(driver, name);
    if (found) *found = *function ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess;
}
API cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned, unsigned long long flags,
                                                 cudaDriverEntryPointQueryResult* found) {
    return cudaGetDriverEntryPoint(name, function, flags, found);
}

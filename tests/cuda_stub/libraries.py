"""Build the libraries, once for each version of torch and of their sources, and name the variables that load them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import torch

HERE = Path(__file__).parent
BUILT = HERE.parents[1] / "build" / "cuda_stub"
_PACKAGES = Path(torch.__file__).parents[1]
_RUNTIME = "libcudart.so.12"
_GENERATED = ("libcublas.so.12", "libcublasLt.so.12", "libcudnn.so.9", "libcufft.so.11")
_ORDER = (_RUNTIME, "libcuda.so.1", *_GENERATED)

_COMMON = """#include <stdlib.h>
#include <string.h>
int cuda_stub_launch(const char*, const unsigned*, void*);
"""
_HANDLES = """
int {name}Create{end}(void** handle) {{ *handle = calloc(1, 64); return 0; }}
int {name}SetStream{end}(void** handle, void* stream) {{ *handle = stream; return 0; }}
"""
_SOURCES = {
    "libcublas.so.12": _HANDLES.format(name="cublas", end="_v2")
    + """
int cublasGetMathMode(void* handle, int* mode) { *mode = 0; return 0; }
int cublasGetPointerMode_v2(void* handle, int* mode) { *mode = 0; return 0; }
""",
    "libcublasLt.so.12": """
int cublasLtMatmulDescCreate(void** made, int compute, int scale) { *made = calloc(1, 64); return 0; }
int cublasLtMatrixLayoutCreate(void** made) { *made = calloc(1, 64); return 0; }
int cublasLtMatmulPreferenceCreate(void** made) { *made = calloc(1, 64); return 0; }
int cublasLtMatmulAlgoGetHeuristic(void* handle, void* matmul, void* a, void* b, void* c, void* d, void* preference,
                                   int count, char* found, int* how_many) {
    memset(found, 0, 96);  // one cublasLtMatmulHeuristicResult_t
    *how_many = 1;
    return 0;
}
int cublasLtMatmul(void* handle, void* matmul, void* alpha, void* a, void* a_layout, void* b, void* b_layout,
                   void* beta, void* c, void* c_layout, void* d, void* d_layout, void* algorithm, void* workspace,
                   size_t size, void* stream) {
    return cuda_stub_launch("cublasLtMatmul", NULL, stream);
}
""",
    "libcudnn.so.9": _HANDLES.format(name="cudnn", end="")
    + """
int cudnnGetStream(void** handle, void** stream) { *stream = *handle; return 0; }
size_t cudnnGetVersion(void) { return 91002; }
size_t cudnnGetCudartVersion(void) { return 12080; }
int cudnnGetProperty(int part, int* value) { *value = part == 0 ? 9 : part == 1 ? 10 : 2; return 0; }
const char* cudnnGetErrorString(int status) { return "an error of the CUDA stub"; }
void cudnnGetLastErrorString(char* text, size_t size) { if (size) *text = 0; }
int cudnnBackendCreateDescriptor(int type, void** made) { *made = calloc(1, 64); return 0; }
int cudnnBackendDestroyDescriptor(void* made) { free(made); return 0; }
int cudnnBackendExecute(void** handle, void* plan, void* pack) { return cuda_stub_launch("cudnn", NULL, *handle); }
int cudnnBackendGetAttribute(void* made, int name, int type, long asked, long* count, void* values) {
    int descriptors = type == 15, numbers = type == 3 || type == 5;  // CUDNN_TYPE_BACKEND_DESCRIPTOR, _INT64, _FLOAT...
    if (numbers && asked > 0 && values) *(long*)values = 0;
    if (count) *count = descriptors || numbers;
    return 0;
}
int cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(void* a, int b, int c, void* d, void* e, void* f, void* g,
                                                             void* h, size_t* size) { *size = 0; return 0; }
int cudnnGetBatchNormalizationBackwardExWorkspaceSize(void* a, int b, int c, void* d, void* e, void* f, void* g,
                                                      void* h, void* i, void* j, size_t* size) { *size = 0; return 0; }
int cudnnGetBatchNormalizationTrainingExReserveSpaceSize(void* a, int b, int c, void* d, void* e, size_t* size) {
    *size = 0;
    return 0;
}
""",
    "libcufft.so.11": "",
}


def missing() -> str:
    """Name the first thing that is missing here to build the libraries; empty if nothing is."""
    if torch.version.cuda is None or not torch.version.cuda.startswith("12."):
        return "torch is not its build for CUDA 12"
    tools = [tool for tool in ("gcc", "g++", "nm") if shutil.which(tool) is None]
    if tools:
        return f"{tools[0]} is not installed"
    if not list(_PACKAGES.glob("nvidia/cuda_runtime/include/cuda_runtime_api.h")):
        return "the headers of NVIDIA's runtime are not installed"
    return ""


def environment(**settings: object) -> dict[str, str]:
    """Variables for a process in which torch finds GPUs; settings as in runtime.cpp. Builds the libraries if need be.

    Raises:
        subprocess.CalledProcessError: if they cannot be built.
    """
    folder = build()
    variables = {
        "LD_PRELOAD": ":".join(str(folder / name) for name in _ORDER),
        "LD_LIBRARY_PATH": str(folder),
        "TRITON_CACHE_DIR": str(BUILT / "triton"),
    }
    return {**os.environ, **variables, **{f"CUDA_STUB_{name.upper()}": str(value) for name, value in settings.items()}}


def build() -> Path:
    """Return the folder of the libraries, built if need be; several processes may ask at the same time."""
    texts = [path.read_bytes() for path in sorted(HERE.rglob("*")) if path.suffix in (".py", ".cpp", ".c", ".h")]
    folder = BUILT / hashlib.sha256(b"".join([torch.__version__.encode(), *texts])).hexdigest()[:16]
    if not folder.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILT) as made:
            _build_into(Path(made) / "libraries")
            with suppress(OSError):  # another process was faster
                (Path(made) / "libraries").rename(folder)
    return folder


def _build_into(folder: Path) -> None:
    folder.mkdir()
    needed = _needed_symbols()
    headers = [f"-I{path}" for path in (HERE / "include", *_PACKAGES.glob("nvidia/*/include"))]
    source = (HERE / "runtime.cpp").read_text("utf-8")
    own = set(re.findall(r"^API .*?(\w+)\(", source, re.MULTILINE))
    rest = folder / "rest.cpp"
    rest.write_text("\n".join(f'extern "C" int {name}() {{ return 0; }}' for name in sorted(needed[_RUNTIME] - own)))
    sources = [str(HERE / "runtime.cpp"), str(rest)]
    _link("g++", folder / _RUNTIME, needed[_RUNTIME] | own, "-std=c++17", *headers, *sources)
    _link("gcc", folder / "libcuda.so.1", None, str(HERE / "driver.c"), str(folder / _RUNTIME))
    for name in _GENERATED:
        code = folder / f"{name}.c"
        code.write_text(_generated(name, needed[name]), "utf-8")
        _link("gcc", folder / name, needed[name], str(code), str(folder / _RUNTIME))


def _needed_symbols() -> Mapping[str, set[str]]:
    """Functions that torch and NVIDIA's other libraries take from each library."""
    found: dict[str, set[str]] = defaultdict(set)
    files = [*_PACKAGES.glob("torch/lib/*.so"), *_PACKAGES.glob("nvidia/*/lib/*.so*")]
    listed = subprocess.run(
        [str(shutil.which("nm")), "-D", "--undefined-only", *files], capture_output=True, text=True, check=True
    ).stdout
    for name, library in re.findall(r" U (\w+)@(\S+)", listed):
        found[library].add(name)
    return found


def _generated(library: str, names: Iterable[str]) -> str:
    """C code of a library whose functions succeed, and whose computing functions launch one kernel."""
    written = _SOURCES[library]
    lines = [_COMMON, written]
    for name in sorted(set(names) - set(re.findall(r"(\w+)\(", written))):
        if re.match(r"cudnnCreate\w+Descriptor$", name):
            lines.append(f"int {name}(void** made) {{ *made = calloc(1, 64); return 0; }}")
        elif library == "libcublas.so.12" and not re.match(r"cublas(Set|Get|Create|Destroy)", name):
            lines.append(f'int {name}(void** handle) {{ return cuda_stub_launch("{name}", NULL, *handle); }}')
        else:
            lines.append(f"int {name}() {{ return 0; }}")
    return "\n".join(lines)


def _link(compiler: str, library: Path, names: set[str] | None, *arguments: str) -> None:
    """Compile and link a library whose symbols carry its name as their version, as NVIDIA's do."""
    versions: list[str] = []
    if names is not None:
        script = library.with_suffix(".map")
        script.write_text(f"{library.name} {{ global: {' '.join(f'{name};' for name in sorted(names))} local: *; }};\n")
        versions = [f"-Wl,--version-script={script}"]
    command = [compiler, "-shared", "-fPIC", "-O1", "-w", *arguments, *versions, "-ldl", "-o", str(library)]
    subprocess.run([*command, f"-Wl,-soname,{library.name}"], check=True, capture_output=True, text=True)

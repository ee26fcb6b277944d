"""Memory available to a process, on files in the forms of machines, containers and services."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.runtime.host_memory import HostMemory, look_at_memory

GIB = 2**30
MACHINE = "MemTotal:       16777216 kB\nMemFree:          100000 kB\nMemAvailable:   12582912 kB\nSwapTotal: 0 kB\n"
UNBOUNDED_V1 = 9223372036854771712
IN_CONTAINER_V2 = "0::/\n"
AS_SERVICE_V2 = "0::/system.slice/reverie.service\n"
V1 = "12:cpu,cpuacct:/docker/abc\n5:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n"


class Host:
    """A made-up machine of 16 GiB, of which 12 are available."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/meminfo", MACHINE)

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def v2(self, path: str, limit: str, used: float = 0, droppable: float = 0) -> None:
        """A group of the unified tree; sizes in GiB."""
        self.write(f"sys/fs/cgroup{path}/memory.max", f"{limit}\n")
        self.write(f"sys/fs/cgroup{path}/memory.current", f"{int(used * GIB)}\n")
        self.write(f"sys/fs/cgroup{path}/memory.stat", f"anon 5\ninactive_file {int(droppable * GIB)}\nactive_file 9\n")

    def v1(self, path: str, limit: int, used: float = 0, droppable: float = 0) -> None:
        """A group of the memory controller's own tree."""
        self.write(f"sys/fs/cgroup/memory{path}/memory.limit_in_bytes", f"{limit}\n")
        self.write(f"sys/fs/cgroup/memory{path}/memory.usage_in_bytes", f"{int(used * GIB)}\n")
        stat = f"cache 1\ninactive_file 7\ntotal_inactive_file {int(droppable * GIB)}\n"
        self.write(f"sys/fs/cgroup/memory{path}/memory.stat", stat)

    def found(self) -> tuple[float, float]:
        """Total and free, in GiB."""
        memory = look_at_memory(self.root)
        assert memory is not None
        return memory.total_bytes / GIB, memory.free_bytes / GIB


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_without_groups_it_is_the_machines(host: Host) -> None:
    assert host.found() == (16, 12)


def test_a_container_of_the_new_kind_has_its_own_bound(host: Host) -> None:
    host.write("proc/self/cgroup", IN_CONTAINER_V2)
    host.v2("", str(4 * GIB), used=1.5)
    assert host.found() == (4, 2.5)


def test_pages_that_can_be_dropped_are_free(host: Host) -> None:
    host.write("proc/self/cgroup", IN_CONTAINER_V2)
    host.v2("", str(4 * GIB), used=3.5, droppable=2)
    assert host.found() == (4, 2.5)


def test_a_group_without_a_bound_changes_nothing(host: Host) -> None:
    host.write("proc/self/cgroup", IN_CONTAINER_V2)
    host.v2("", "max", used=9)
    assert host.found() == (16, 12)


def test_a_service_has_the_least_of_its_own_bound_and_its_parents(host: Host) -> None:
    host.write("proc/self/cgroup", AS_SERVICE_V2)
    host.v2("/system.slice/reverie.service", str(6 * GIB), used=1)
    assert host.found() == (6, 5)
    host.v2("/system.slice", str(8 * GIB), used=5)
    assert host.found() == (6, 3)


def test_a_container_of_the_old_kind_sees_its_group_at_the_top_though_the_path_is_the_hosts(host: Host) -> None:
    host.write("proc/self/cgroup", V1)
    host.v1("", 3 * GIB, used=1, droppable=0.5)
    assert host.found() == (3, 2.5)


def test_a_group_of_the_old_kind_on_the_host_itself(host: Host) -> None:
    host.write("proc/self/cgroup", V1)
    host.v1("", UNBOUNDED_V1, used=9)
    host.v1("/docker/abc", 2 * GIB, used=1.75, droppable=0.25)
    assert host.found() == (2, 0.5)


def test_a_bound_above_the_machine_is_none(host: Host) -> None:
    host.write("proc/self/cgroup", V1)
    host.v1("", UNBOUNDED_V1, used=9)
    assert host.found() == (16, 12)


def test_a_path_that_leaves_the_tree_is_not_followed(host: Host) -> None:
    host.write("proc/self/cgroup", "0::/../../elsewhere\n")
    host.v2("", str(4 * GIB))
    host.write("sys/elsewhere/memory.max", "1\n")
    host.write("sys/elsewhere/memory.current", "1\n")
    assert host.found() == (4, 4)


def test_a_group_that_is_over_its_bound_leaves_nothing(host: Host) -> None:
    host.write("proc/self/cgroup", IN_CONTAINER_V2)
    host.v2("", str(GIB), used=1.1)
    assert host.found() == (1, 0)


@pytest.mark.parametrize("text", ["", "garbage", "0", "::::\n", "5:memory\n", "0::/\0\n", "5:memory:/docker/abc\n"])
def test_groups_that_make_no_sense_are_left_alone(host: Host, text: str) -> None:
    host.write("proc/self/cgroup", text)
    host.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "-1\n")
    host.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "many\n")
    assert host.found() == (16, 12)


@pytest.mark.parametrize("text", [None, "", "MemTotal: 8 kB\n", "MemAvailable: 8 kB\n", "\0\0"])
def test_a_system_without_figures_is_not_asked_again(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        Host(tmp_path).write("proc/meminfo", text)
    assert look_at_memory(tmp_path) is None


def test_the_figures_of_this_machine_are_plausible() -> None:
    memory = look_at_memory()
    assert memory is None or (isinstance(memory, HostMemory) and 0 < memory.free_bytes <= memory.total_bytes < 2**50)

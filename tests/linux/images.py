# SPDX-License-Identifier: BSD-2-Clause
"""images.py: kernels and initial RAM disks of the test bed, made once and kept under $BUILD/linux."""
import glob
import lzma
import os
import platform
import re
import shutil
import stat
import struct
import subprocess
import zlib

BUSYBOX = "/bin/busybox"


class Missing(Exception):
    """Something that the bed needs is not installed: the reason to skip."""


# ---- Kernels ------------------------------------------------------------------------------------

def find_kernel():
    """The newest of Debian's stock kernels that is whole: its version."""
    def order(version):
        return [int(n) for n in re.findall(r"\d+", version)]

    found = [path[len("/boot/vmlinuz-"):] for path in glob.glob("/boot/vmlinuz-*-amd64")]
    found = [version for version in found if "cloud" not in version and "rt" not in version
             and os.path.exists(f"/lib/modules/{version}/modules.dep")]
    if not found:
        raise Missing("no stock Debian kernel in /boot (package linux-image-amd64)")
    return max(found, key=order)


def unpack(bzimage, out):
    """The ELF kernel in a bzImage: it boots by PVH, without the time that unpacking takes."""
    image = read(bzimage)
    setup_sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    payload = image[(setup_sectors + 1) * 512 + offset:][:length]
    if payload[:6] == b"\xfd7zXZ\0":
        kernel = lzma.LZMADecompressor().decompress(payload)
    elif payload[:2] == b"\x1f\x8b":
        kernel = zlib.decompressobj(31).decompress(payload)
    elif payload[:4] == b"\x28\xb5\x2f\xfd":
        kernel = subprocess.run(["zstd", "-dcq"], input=payload, check=False,
                                stdout=subprocess.PIPE).stdout
    else:
        raise Missing(f"{bzimage} is packed in a way that is not known here")
    if kernel[:4] != b"\x7fELF":
        raise Missing(f"{bzimage} has no ELF kernel in it")
    write(out, kernel)


# ---- Archives -----------------------------------------------------------------------------------

def write(path, data):
    """All of it or nothing."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.new", "wb") as out:
        out.write(data)
    os.replace(f"{path}.new", path)


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Archive:
    """A cpio archive in the format that the kernel takes ("newc")."""

    def __init__(self):
        self.parts = []
        self.folders = set()

    def _entry(self, name, mode, data=b"", device=(0, 0)):
        parent = os.path.dirname(name)
        if parent and parent not in self.folders:
            self.folder(parent)
        encoded = name.encode() + b"\0"
        fields = (len(self.parts) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        self.parts.append(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    def folder(self, name):
        self.folders.add(name)
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, source):
        self._entry(name, stat.S_IFREG | 0o755, read(source))

    def text(self, name, text):
        self._entry(name, stat.S_IFREG | 0o755, text.encode())

    def link(self, name, target):
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def bytes(self):
        self._entry("TRAILER!!!", 0)
        parts, self.parts = self.parts, []
        return b"".join(parts)


def base():
    """What both levels start from: folders and busybox."""
    try:
        with open(BUSYBOX, "rb") as file:
            static = b"/ld-linux" not in file.read(65536)
    except OSError:
        static = False
    if not static:
        raise Missing("no static busybox (package busybox-static)")
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "tmp", "run"):
        archive.folder(name)
    archive.device("dev/console", 5, 1)
    archive.file("bin/busybox", BUSYBOX)
    applets = subprocess.run([BUSYBOX, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            archive.link(f"bin/{applet}", "busybox")
    return archive


# ---- The first level ----------------------------------------------------------------------------

# The host's root, read-only, under a layer of RAM; then the job, with the second serial line as its
# terminal, so that nothing of the kernel gets in between.
FIRST_INIT = """\
#!/bin/sh
export PATH=/bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
for m in /modules/*; do insmod $m || echo "first level: $m: not loaded"; done
mkdir -p /lower /layer /root
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose root /lower &&
mount -t tmpfs none /layer && mkdir /layer/upper /layer/work &&
mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work none /root || poweroff -f
cd /root
mkdir -p dev proc sys tmp run
mount --bind /dev dev; mount -t proc none proc; mount -t sysfs none sys
mount -t debugfs none sys/kernel/debug; mount -t tracefs none sys/kernel/tracing
mkdir -p dev/shm dev/pts; mount -t tmpfs none dev/shm; mount -t devpts none dev/pts
mount -t tmpfs none run
ip link set lo up
job=$(sed 's/.*job=\\([^ ]*\\).*/\\1/' /proc/cmdline)
mkdir -p ${job#/}
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 job ./$job
stty -F /dev/ttyS1 raw -echo
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /; chroot /root /usr/bin/python3 -u @INSIDE@ $job </dev/ttyS1 >/dev/ttyS1 2>&1
sync; poweroff -f
"""
FIRST_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "kvm-amd")


def module_paths(version, names):
    """The modules' files, each after those that it needs. What is built in has none."""
    needs, by_name = {}, {}
    with open(f"/lib/modules/{version}/modules.dep") as lines:
        for line in lines:
            path, _, rest = line.partition(":")
            needs[path] = rest.split()
            by_name[os.path.basename(path).split(".")[0].replace("-", "_")] = path
    order = []

    def add(path):
        for need in reversed(needs[path]):
            if need not in order:
                add(need)
        if path not in order:
            order.append(path)

    for name in names:
        path = by_name.get(name.replace("-", "_"))
        if path:
            add(path)
    return [f"/lib/modules/{version}/{path}" for path in order]


def first_root(version, inside):
    archive = base()
    archive.text("init", FIRST_INIT.replace("@INSIDE@", inside))
    for i, path in enumerate(module_paths(version, FIRST_MODULES)):
        archive.file(f"modules/{i:02}-{os.path.basename(path)}", path)
    return archive.bytes()


# ---- The guests ---------------------------------------------------------------------------------

def guest_root(agent, programs=(), modules=()):
    """A guest's root: the agent as init, programs in /test, modules in /modules."""
    archive = base()
    archive.file("init", agent)
    for path in programs:
        archive.file(f"test/{os.path.basename(path)}", path)
    for path in modules:
        archive.file(f"modules/{os.path.basename(path)}", path)
    return archive.bytes()


class Images:
    """Everything that is booted, as files in $BUILD/linux. Those that are up to date stay."""

    def __init__(self, build):
        self.folder = os.path.join(os.path.abspath(build), "linux")
        self.version = find_kernel()
        self.bzimage = f"/boot/vmlinuz-{self.version}"
        self.vmlinux = os.path.join(self.folder, f"vmlinux-{self.version}")
        os.makedirs(self.folder, exist_ok=True)
        if not self._newer(self.vmlinux, self.bzimage):
            unpack(self.bzimage, self.vmlinux)

    @staticmethod
    def _newer(path, source):
        return os.path.exists(path) and os.path.getmtime(path) >= os.path.getmtime(source)

    def _keep(self, name, data):
        path = os.path.join(self.folder, name)
        if not os.path.exists(path) or read(path) != data:
            write(path, data)
        return path

    def module(self, path):
        """The module without what is for debuggers. It must be for this kernel."""
        if f"vermagic={self.version} ".encode() not in read(path):
            raise Missing(f"{path} is not built for {self.version} (make modules KDIR=/lib/modules/{self.version}/build)")
        out = os.path.join(self.folder, os.path.basename(path))
        subprocess.run(["strip", "-g", "-o", out, path], check=True)
        return out

    def first(self, inside):
        return self._keep("first.cpio", first_root(self.version, inside))

    def guest(self, name, agent, programs=(), modules=()):
        return self._keep(f"{name}.cpio", guest_root(agent, programs, modules))


def qemu():
    path = shutil.which("qemu-system-x86_64")
    if not path:
        raise Missing("no qemu-system-x86_64 (package qemu-system-x86)")
    if platform.machine() != "x86_64":
        raise Missing(f"a {platform.machine()} machine")
    return path

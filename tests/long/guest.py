# SPDX-License-Identifier: Apache-2.0
"""A peer with the kernel's own ESP: Debian's kernel in an emulator, strongSwan in it for the keys.

The machine that runs the tests may have no ESP in its kernel, so the kernel is brought along: its
package is unpacked (never installed), and a root file system in memory is put together of busybox,
strongSwan and the kernel's modules.
"""

import glob
import os
import re
import shutil
import subprocess

from lab import wait_for
from peers import Charon, Peer, ViciError

HERE = os.path.dirname(os.path.abspath(__file__))
WIRE, MANAGEMENT = ["192.0.2.2/24", "2001:db8::2/64"], ["172.31.0.2/24"]
INNER = ["10.2.0.1/32", "fd00:2::1/128"]
PROGRAMS = ["/usr/sbin/charon-systemd", "/usr/bin/kmod", "/usr/bin/iperf3", "/usr/bin/ping",
            "/usr/bin/ip"]
PLUGINS = "random nonce openssl aes sha1 sha2 hmac kdf gcm aesni chapoly curve25519 pem pkcs1 x509 " \
    "pubkey constraints kernel-netlink socket-default vici"
MODULES = ["kernel/arch/x86/crypto", "kernel/crypto", "kernel/lib", "kernel/net/xfrm",
           "kernel/net/ipv4", "kernel/net/ipv6", "kernel/net/core", "kernel/drivers/virtio",
           "kernel/drivers/net/virtio_net.ko", "kernel/drivers/net/net_failover.ko",
           "kernel/drivers/char/hw_random"]
SETTINGS = f"""
charon-systemd {{
	load = {PLUGINS}
	retransmit_timeout = 2.0
	plugins {{ vici {{ socket = tcp://0.0.0.0:4502 }} }}
	filelog {{ log {{ path = /var/log/charon.log
		default = 1
		ike = 2
		cfg = 2
		knl = 2
		flush_line = yes
	}} }}
}}
"""


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, capture_output=True, **options).stdout


def kernel_package():
    """The name of the kernel package that Debian's linux-image-amd64 stands for now."""
    shown = run("apt-cache", "depends", "linux-image-amd64")
    return re.search(r"Depends: (linux-image-\d\S+)", shown).group(1)


def unpack_kernel(folder):
    """Downloads and unpacks the kernel package; returns (vmlinuz, folder of modules)."""
    if not glob.glob(f"{folder}/kernel/boot/vmlinuz-*"):
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["apt-get", "-q", "download", kernel_package()], check=True, cwd=folder,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run("dpkg", "-x", glob.glob(f"{folder}/linux-image-*.deb")[0], f"{folder}/kernel")
    return glob.glob(f"{folder}/kernel/boot/vmlinuz-*")[0], \
        glob.glob(f"{folder}/kernel/lib/modules/*")[0]


def libraries(path):
    """The shared objects a program or plugin needs, by absolute path."""
    return set(re.findall(r"(/\S+) \(0x", run("ldd", path)))


def put(root, path, to=None):
    """Copies a file into the root file system, following links, at the same path."""
    target = root + (to or path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(os.path.realpath(path), target)


def put_modules(root, modules):
    version = os.path.basename(modules)
    for name in MODULES:
        source, target = f"{modules}/{name}", f"{root}/lib/modules/{version}/{name}"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, target)
        elif os.path.exists(source):  # some kernels have it built in
            shutil.copy(source, target)
    for name in ("modules.builtin", "modules.order"):
        shutil.copy(f"{modules}/{name}", f"{root}/lib/modules/{version}/{name}")
    run("depmod", "-b", root, version)


def make_root(root, modules):
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("bin", "sbin", "etc", "root"):
        os.makedirs(f"{root}/{folder}")
    put(root, "/bin/busybox")
    plugins = glob.glob("/usr/lib/ipsec/plugins/*.so")
    needed = set().union(*(libraries(path) for path in PROGRAMS + plugins))
    needed |= set(glob.glob("/usr/lib/x86_64-linux-gnu/ossl-modules/*.so"))
    for path in PROGRAMS + plugins + sorted(needed):
        put(root, path)
    os.symlink("/usr/bin/kmod", f"{root}/sbin/modprobe")
    with open(f"{root}/etc/strongswan.conf", "w", encoding="utf-8") as file:
        file.write(SETTINGS)
    with open(f"{root}/etc/addresses", "w", encoding="utf-8") as file:
        for name, value in (("WIRE", WIRE), ("INNER", INNER), ("MANAGEMENT", MANAGEMENT)):
            file.write(f"{name}=\"{' '.join(value)}\"\n")
    put(root, f"{HERE}/guest-init", "/init")
    put_modules(root, modules)


def make_image(folder):
    """Puts the guest together once; returns (kernel, image)."""
    kernel, modules = unpack_kernel(folder)
    image = f"{folder}/image.cpio.gz"
    make_root(f"{folder}/root", modules)
    with open(image, "wb") as file:
        subprocess.run(["bash", "-o", "pipefail", "-c",
                        "find . | cpio --quiet -o -H newc | gzip -1"], check=True,
                       cwd=f"{folder}/root", stdout=file)
    return kernel, image


class KernelPeer(Charon):
    """strongSwan with the ESP of the kernel it runs on, in an emulator beside a lab's host.

    The host gets two TAP devices: "wire" towards the guest's, and "manage".
    """

    kind = "kernel"

    def __init__(self, host, configuration, kernel, image):  # pylint: disable=super-init-not-called
        Peer.__init__(self, host)
        self.socket = host.path("guest.vici")
        self.conf = host.write("guest-swanctl.conf", configuration)
        self.settings = host.write("guest-strongswan.conf", f"swanctl {{ load = {PLUGINS} }}\n")
        self.kernel, self.image = kernel, image

    def start(self):
        for device, addresses in (("wire", ["192.0.2.1/24", "2001:db8::1/64"]),
                                  ("manage", ["172.31.0.1/24"])):
            self.host.run("ip", "tuntap", "add", device, "mode", "tap")
            self.host.address(device, *addresses)
            self.host.run("ip", "link", "set", device, "up")
        self.process = self.host.spawn("guest", *self.command())
        self.host.spawn("socat", "socat", f"UNIX-LISTEN:{self.socket},fork", "TCP:172.31.0.2:4502")
        wait_for(self._ready, "the guest to be up and charon in it to answer", seconds=600, every=1)
        self.swanctl("--load-all", "--file", self.conf)
        return self

    def command(self):
        card = "virtio-net-pci,netdev={0},mac=52:54:00:00:00:{1:02x},romfile="
        return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-nographic",
                "-no-reboot", "-kernel", self.kernel, "-initrd", self.image,
                "-append", "console=ttyS0 panic=-1 quiet",
                "-netdev", "tap,id=wire,ifname=wire,script=no,downscript=no",
                "-device", card.format("wire", 1),
                "-netdev", "tap,id=manage,ifname=manage,script=no,downscript=no",
                "-device", card.format("manage", 2)]

    def _ready(self):
        assert self.process.running(), f"the guest ended:\n{self.process.log()}"
        try:
            self.vici("version", timeout=5)
            return True
        except (OSError, ViciError):
            return False

    def shell(self, command, seconds=60):
        """Runs a command in the guest; returns what it printed."""
        done = self.host.run("socat", "-t", seconds, "-", "TCP:172.31.0.2:23,retry=20,interval=0.2",
                             text=f"{command} 2>&1; exit\n", timeout=seconds + 10)
        return done.stdout

    def log(self):
        return self.shell("cat /var/log/charon.log")

    def stop(self):
        self.process.stop()

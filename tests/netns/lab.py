# SPDX-License-Identifier: Apache-2.0
"""Hosts out of namespaces: each has its own network, mounts (with an empty /run) and processes.

A host's processes live in a process namespace of its own whose first process dies with this
program, so nothing is left behind even after a crash. The machine's own network is never touched.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(condition, what, seconds=30.0, every=0.05):
    """Polls until condition() is true and returns its value; the deadline is only a safety net."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(every)


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []


class Process:
    """A program running in a host, its output in a file that those of its name before it wrote too."""

    def __init__(self, host, name, command, env):
        self.name = name
        self.log_path = host.path(f"{name}.log")
        with open(self.log_path, "ab") as log:
            self.log_start = log.tell()
            self.outer = subprocess.Popen(host.inside(command), stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=subprocess.STDOUT,
                                          env={**os.environ, **(env or {})},
                                          preexec_fn=die_with_parent)
        self.pid = wait_for(lambda: (children_of(self.outer.pid) or [None])[0]
                            or self.outer.poll() is not None, f"{name} to start")
        self.pid = None if self.pid is True else self.pid

    def running(self):
        return self.outer.poll() is None

    def send(self, number):
        if self.running() and self.pid:
            os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Ends it and returns its exit status."""
        self.send(number)
        try:
            return self.outer.wait(seconds)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self.outer.wait()
            raise AssertionError(f"{self.name} did not end in {seconds} s after signal {number}")

    def log(self):
        """What this process wrote: a word of one that had its name before is not this one's."""
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")


class Host:
    """One machine of the lab."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.folder = os.path.join(lab.folder, name)
        os.mkdir(self.folder)
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "sleep", "infinity"], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self.pid = wait_for(lambda: (children_of(self.holder.pid) or [0])[0], f"{name} to start")
        self.processes = []
        wait_for(lambda: self.run("true", check=False).returncode == 0, f"{name} to be entered")
        self.run("mount", "-t", "tmpfs", "tmpfs", "/run")
        self.run("mount", "-t", "sysfs", "sysfs", "/sys", check=False)
        self.sysctl("net.ipv6.conf.all.accept_dad", 0)
        self.sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.sysctl("net.ipv4.conf.all.rp_filter", 0)
        self.sysctl("net.ipv4.conf.default.rp_filter", 0)
        self.run("ip", "link", "set", "lo", "up")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def write_bytes(self, name, data):
        """A file, the folders above it made if they are missing."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def inside(self, command):
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-p", "--", *map(str, command)]

    def run(self, *command, check=True, timeout=60, text=None):
        """Runs a command to its end; returns it with stdout and stderr as text."""
        done = subprocess.run(self.inside(command), input=text, text=True, capture_output=True,
                              timeout=timeout, check=False, errors="replace",
                              stdin=subprocess.DEVNULL if text is None else None)
        assert not check or done.returncode == 0, \
            f"{self.name}: {' '.join(map(str, command))}: status {done.returncode}\n" \
            f"{done.stdout}{done.stderr}"
        return done

    def spawn(self, name, *command, env=None):
        process = Process(self, name, command, env)
        self.processes.append(process)
        return process

    def sysctl(self, name, value):
        self.run("sysctl", "-q", "-w", f"{name}={value}")

    def address(self, device, *addresses):
        for address in addresses:
            extra = ["nodad"] if ":" in address else []
            self.run("ip", "address", "add", address, "dev", device, *extra)

    def nft(self, rules):
        self.run("nft", "-f", "-", text=rules)

    def ping(self, target, source=None, count=3, size=56, wait=2, check=True):
        """Pings; returns how many of the first count requests were answered, in their order.

        With more than one, ping sends on until count answers came or the deadline is over: a host
        that was only slow has still answered the first ones, one that lost a packet has not.
        """
        command = ["ping", "-n", "-c", count, "-i", "0.05", "-s", size]
        command += ["-W", wait] if count == 1 else ["-w", max(wait, 10) if check else wait]
        command += ["-I", source] if source else []
        done = self.run(*command, target, check=False)
        answered = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", done.stdout)]
        got = sum(1 for place, number in enumerate(answered[:count], 1) if place == number)
        assert not check or got == count, \
            f"{self.name}: ping {target}: {got} of {count}\n{done.stdout}{done.stderr}"
        return got

    def close(self):
        for process in self.processes:
            process.send(signal.SIGKILL)
        # The first process of the namespace takes all others with it.
        self.holder.kill()
        self.holder.wait()


class Lab:
    """The hosts of one scenario and the folder with their files."""

    def __init__(self, name):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="lkn-")
        self.hosts = {}
        self.captures = []

    def host(self, name):
        self.hosts[name] = Host(self, name)
        return self.hosts[name]

    def link(self, one, one_dev, two, two_dev, one_addresses=(), two_addresses=(), mtu=1500,
             together=False):
        """A cable between two hosts: (host, device name, addresses) at each end. As on a cable, and
        so that who looks at it sees what is sent, each packet goes by itself; with `together` the
        kernel hands over what it has joined (GSO) as it is."""
        one.run("ip", "link", "add", one_dev, "mtu", mtu, "type", "veth", "peer", "name",
                "lkpeer", "mtu", mtu)
        subprocess.run(["nsenter", "-t", str(one.pid), "-n", "ip", "link", "set", "lkpeer",
                        "netns", str(two.pid)], check=True)
        two.run("ip", "link", "set", "lkpeer", "name", two_dev)
        for host, device, addresses in ((one, one_dev, one_addresses),
                                        (two, two_dev, two_addresses)):
            host.address(device, *addresses)
            if not together:
                host.run("ip", "link", "set", device, "gso_max_segs", 1)
            host.run("ip", "link", "set", device, "up")

    def keep(self, to):
        """Copies every host's files (logs, configurations, captures) to a folder."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.folder, to, ignore_dangling_symlinks=True,
                        ignore=lambda folder, names: [
                            n for n in names if not os.path.isfile(os.path.join(folder, n))
                            and not os.path.isdir(os.path.join(folder, n))])

    def close(self):
        for host in self.hosts.values():
            host.close()
        shutil.rmtree(self.folder, ignore_errors=True)

# SPDX-License-Identifier: Apache-2.0
"""The two kinds of IKE daemon a scenario can put on a host: Latchkey, and strongSwan's charon.

Both read the same configuration grammar and answer VICI, so a scenario is written once and run
with either on each side.
"""

import functools
import glob
import json
import os
import re
import shutil
import signal
import subprocess

from lab import wait_for
from pytap import Skip
from vici import Vici, ViciError

CHARON = "/usr/sbin/charon-systemd"
STRONGSWAN_CONF = """
charon-systemd {{
	load = random nonce openssl aes sha1 sha2 hmac kdf gcm aesni chapoly curve25519 ml pem pkcs1 pkcs8 x509 pubkey constraints revocation eap-identity eap-mschapv2 eap-tls kernel-libipsec kernel-netlink socket-default vici
	retransmit_timeout = 1.0
	retransmit_tries = 4
	plugins {{ vici {{ socket = unix://{socket} }} }}
	{more}
	filelog {{ log {{ path = {log}
		default = 1
		ike = 2
		cfg = 2
		flush_line = yes
		time_format = %H:%M:%S
		time_add_ms = yes
	}} }}
}}
swanctl {{ load = pem pkcs1 pkcs8 x509 pubkey openssl curve25519 random }}
"""


def keys(settings):
    """Keys and sections of strongswan.conf."""
    return "\n\t".join(f"{key} {{\n\t{keys(value)}\n\t}}" if isinstance(value, dict)
                       else f"{key} = {value}" for key, value in settings.items())


class Peer:
    """What both kinds share: everything that is asked through VICI."""

    kind = "?"

    def __init__(self, host):
        self.host = host
        self.socket = None
        self.process = None

    def vici(self, command, message=None, events=None, timeout=30):
        with Vici(self.socket, timeout) as vici:
            return vici.request(command, message, events)

    def up(self, child, check=True, timeout=60):
        """Brings a Child SA up; returns whether it is."""
        answer, _ = self.vici("initiate", {"child": child, "timeout": (timeout - 5) * 1000},
                              "control-log", timeout)
        good = answer.get("success") == "yes"
        assert good or not check, f"{self.host.name}: up {child}: {answer.get('errmsg')}"
        return good

    def down(self, ike=None, child=None):
        message = {"ike": ike} if ike else {"child": child}
        answer, _ = self.vici("terminate", {**message, "timeout": 20000})
        assert answer.get("success") == "yes", f"{self.host.name}: down: {answer}"

    def rekey(self, ike=None, child=None):
        message = {"ike": ike} if ike else {"child": child}
        answer, _ = self.vici("rekey", message)
        assert answer.get("success") == "yes", f"{self.host.name}: rekey: {answer}"

    def kill(self):
        """Ends it without a chance to clean up."""
        self.process.send(signal.SIGKILL)
        self.process.outer.wait()

    def sas(self):
        """The IKE SAs as VICI lists them: [(name, {...})]."""
        _, messages = self.vici("list-sas", {}, "list-sa")
        return [(name, sa) for message in messages for name, sa in message.items()]

    def children(self):
        """The installed Child SAs: [{...}], each with its IKE SA's name as "ike"."""
        return [{**child, "ike": name} for name, sa in self.sas()
                for child in sa.get("child-sas", {}).values()
                if child.get("state") == "INSTALLED"]

    def established(self):
        return [sa for _, sa in self.sas() if sa.get("state") == "ESTABLISHED"]

    def spis(self):
        """The pairs of SPIs (inbound, outbound) of the installed Child SAs."""
        return {(child["spi-in"].lower(), child["spi-out"].lower()) for child in self.children()}

    def ike_spis(self):
        return {(sa["initiator-spi"].lower(), sa["responder-spi"].lower())
                for sa in self.established()}


@functools.lru_cache(maxsize=None)
def charon_version():
    """(major, minor, micro) as its package says: the program itself has no such option."""
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "charon-systemd"],
                          capture_output=True, text=True, check=False).stdout
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", said)
    if not found:
        raise Skip("strongSwan is not installed")
    return tuple(map(int, found.groups()))


class Charon(Peer):
    """strongSwan with its ESP in user space (kernel-libipsec): tunnel mode in UDP only."""

    kind = "charon"

    def __init__(self, host, configuration, settings=None):
        """settings: further keys of strongswan.conf's section for charon."""
        super().__init__(host)
        if not os.path.exists(CHARON):
            raise Skip("strongSwan is not installed")
        self.socket = host.path("charon.vici")
        self.log_path = host.path("charon.log")
        self.conf = host.write("swanctl.conf", configuration)
        self.settings = host.write("strongswan.conf", STRONGSWAN_CONF.format(
            socket=self.socket, log=self.log_path,
            more=keys(settings or {})))
        # Away from the path that a security profile of the distribution is tied to.
        self.program = shutil.copy(CHARON, host.path("charon-systemd"))

    def start(self):
        environment = {"STRONGSWAN_CONF": self.settings}
        self.process = self.host.spawn("charon", self.program, env=environment)
        wait_for(self._answers, f"charon on {self.host.name} to answer")
        self.swanctl("--load-all", "--file", self.conf)
        return self

    def _answers(self):
        assert self.process.running(), f"charon ended:\n{self.process.log()}"
        try:
            self.vici("version")
            return True
        except OSError:
            return False

    def swanctl(self, *arguments, check=True):
        return self.host.run("env", f"STRONGSWAN_CONF={self.settings}",
                             f"SWANCTL_DIR={self.host.folder}", "swanctl", *arguments,
                             "--uri", f"unix://{self.socket}", check=check)

    def configure(self, configuration):
        """Another configuration, with the credentials that lie beside it now."""
        self.host.write("swanctl.conf", configuration)
        self.swanctl("--load-all", "--clear", "--file", self.conf)

    def stop(self):
        self.process.stop()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def said(self, text):
        return text in self.log()


class Latchkey(Peer):
    """latchkeyd, with its command-line tool."""

    kind = "latchkey"
    build = None  # set by the runner
    prefix = ()  # words in front of the daemon's command

    def __init__(self, host, configuration, build=None):
        super().__init__(host)
        self.bin = os.path.join(build or Latchkey.build, "api")
        assert os.path.exists(os.path.join(self.bin, "latchkeyd")), f"no latchkeyd in {self.bin}"
        self.run_dir = host.path("run")
        os.makedirs(self.run_dir, mode=0o700, exist_ok=True)
        self.socket = os.path.join(self.run_dir, "latchkey.vici")
        self.conf = self._write(configuration)

    def _write(self, configuration):
        # What outlives the daemon outlives the host here.
        kept = f"latchkey {{\n\tcrash_secret = {self.host.path('crash_secret')}\n}}\n"
        return self.host.write("latchkey.conf", configuration + kept)

    def configure(self, configuration):
        """Another configuration, with the credentials that lie beside it now."""
        self._write(configuration)
        self.cli("load")

    def start(self):
        self.process = self.host.spawn(
            "latchkeyd", *self.prefix, os.path.join(self.bin, "latchkeyd"), "-c", self.conf,
            "--run-dir", self.run_dir, "--foreground")
        wait_for(self._answers, f"latchkeyd on {self.host.name} to answer")
        return self

    def _answers(self):
        assert self.process.running(), f"latchkeyd ended:\n{self.process.log()}"
        try:
            self.vici("version")
            return True
        except OSError:
            return False

    def cli(self, *words, check=True):
        return self.host.run(os.path.join(self.bin, "latchkey"), "--run-dir", self.run_dir,
                             *words, check=check)

    def cli_json(self, *words):
        return json.loads(self.cli(*words, "--json").stdout)

    def swanctl(self, *arguments, check=True):
        """Debian's own swanctl, talking to our socket."""
        return self.host.run("swanctl", *arguments, "--uri", f"unix://{self.socket}", check=check)

    def stop(self):
        status = self.process.stop()
        assert status == 0, f"latchkeyd ended with status {status}:\n{self.log()[-2000:]}"

    def log(self):
        return self.process.log()

    def said(self, text):
        return text in self.log()

    def keylog(self, name):
        found = glob.glob(os.path.join(self.run_dir, "keylog", name))
        assert found, f"no key log {name} in {os.listdir(self.run_dir)}"
        with open(found[0], encoding="utf-8") as file:
            return file.read()


KINDS = {"charon": Charon, "latchkey": Latchkey}
__all__ = ["Charon", "Latchkey", "Peer", "ViciError", "KINDS"]

# SPDX-License-Identifier: Apache-2.0
"""IPsec as an application uses it: <latchkey/ipsec.h> for Python, by liblatchkey.so.0 and the
standard library alone.

    sock = socket.socket()
    latchkey_ipsec.connect(sock, ("192.0.2.1", 9200), peer="server.example")
    print(latchkey_ipsec.of_socket(sock).peer.identity)

What fails raises IpsecError, an OSError whose text is a sentence and whose reason is a Reason. With
asyncio: `await connect_async(...)`, `await require_async(...)`, `await path_move_async(...)` and `async
for event in events()`.
LATCHKEY_LIBRARY names another library. Functions may be called from any thread; a PToken, IToken or
Latch is used by one at a time.
"""

import asyncio
import contextlib
import ctypes
import enum
import errno
import os
import socket
import struct

_lib = ctypes.CDLL(os.environ.get("LATCHKEY_LIBRARY", "liblatchkey.so.0"), use_errno=True)
SO_MARK = 36
MSG_SPACE = 96  # of control data that recvmsg() needs for a token
_ROOM = 4200


class Method(enum.IntEnum):
    """How a peer proved who he is."""
    NONE = 1
    BTNS = 2
    LEAPOFFAITH = 3
    PRESHAREDKEY = 4
    GROUPKEY = 5
    XAUTH = 6
    EAP = 7
    PKIX_TRUSTED = 8
    PKIX_INLINE = 9
    PKIX_OFFLINE = 10
    PUBKEY = 11


class State(enum.IntEnum):
    """Of a latch (RFC 5660)."""
    LARVAL = 0
    LISTENING = 1
    ESTABLISHED = 2
    BROKEN = 3
    CLOSED = 4


class EventKind(enum.IntEnum):
    LATCH = 1
    SPAWNED = 2
    ASK = 3
    DISCONNECTED = 4
    RECONNECTED = 5
    LOST = 6
    PATH = 7


class PathNews(enum.IntEnum):
    """What happened to a path to a peer."""
    NEW = 1
    USABLE = 2
    LOST = 3
    ELSEWHERE = 4
    MOVED = 5
    GONE = 6
    DRAINED = 7


class PathState(enum.IntEnum):
    """Of a path to a peer: it has not answered, it waits, traffic goes by it."""
    ASKED = 0
    STANDBY = 1
    ACTIVE = 2


class Attr(enum.IntEnum):
    """IPSEC_API_ATTR_* of the header."""
    PRIVACY_PROTECTED = 1
    INTEGRITY_PROTECTED = 2
    COMPRESSION_AVAILABLE = 3
    TUNNEL_MODE = 4
    ITOKEN = 5
    LOCAL_ITOKEN = 6
    POLICY_NAME = 7
    AUTH_METHODS = 8
    PART = 9
    SUITE = 10
    INFORMATION_STRING = 11
    REPLAY_PROTECTED = 12
    INDETERMINATE = 13
    AUDIT_STRING = 14
    AUTH_METHOD = 15
    EAP_METHOD = 16
    IDENTITY = 17
    CERTIFICATE_AUTHORITY_DN = 18
    CERTIFICATE_DN = 19
    PUBKEY_ID = 20
    CHANNEL_BINDING = 21
    CHANNEL_BINDING_HASH = 22
    PUBLIC_KEY = 23


KEEP, LISTENER = 1, 2


class _LatchInfo(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("state", ctypes.c_int), ("reason", ctypes.c_int),
                ("listener", ctypes.c_bool), ("uid", ctypes.c_uint32),
                ("profile", ctypes.c_char * 32), ("peer", ctypes.c_char * 264),
                ("text", ctypes.c_char * 256), ("number", ctypes.c_uint64)]


class _Pair(ctypes.Structure):
    _fields_ = [("local", ctypes.c_char * 128), ("remote", ctypes.c_char * 128)]


class _Event(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("kind", ctypes.c_int), ("state", ctypes.c_int),
                ("reason", ctypes.c_int), ("timeout_ms", ctypes.c_uint32),
                ("latch", ctypes.c_uint64), ("parent", ctypes.c_uint64), ("ask", ctypes.c_uint64),
                ("peer", ctypes.c_void_p), ("text", ctypes.c_char * 256),
                ("news", ctypes.c_int), ("path", ctypes.c_uint32), ("from", ctypes.c_uint32),
                ("connection", ctypes.c_char * 128), ("local", ctypes.c_uint64 * 16),
                ("remote", ctypes.c_uint64 * 16)]


class _PathInfo(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("number", ctypes.c_uint32), ("state", ctypes.c_int),
                ("connection", ctypes.c_char * 128), ("peer", ctypes.c_char * 264),
                ("decides", ctypes.c_bool), ("udp", ctypes.c_bool),
                ("priority", ctypes.c_uint32), ("weight", ctypes.c_uint32),
                ("local", ctypes.c_uint64 * 16), ("remote", ctypes.c_uint64 * 16),
                ("rtt_us", ctypes.c_uint32), ("loss_permille", ctypes.c_uint32),
                ("mtu", ctypes.c_uint32), ("rate", ctypes.c_uint64),
                ("rx_packets", ctypes.c_uint64), ("rx_bytes", ctypes.c_uint64),
                ("tx_packets", ctypes.c_uint64), ("tx_bytes", ctypes.c_uint64)]


_PathFn = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(_PathInfo))


class _Msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32),
                ("iov", ctypes.c_void_p), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


def _declare():
    pointer, number = ctypes.c_void_p, ctypes.c_uint32
    text, size = ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t)
    kinds = {
        "create_iToken": (pointer, []), "create_pToken": (pointer, []),
        "free_iToken": (ctypes.c_int, [pointer]), "free_pToken": (ctypes.c_int, [pointer]),
        "cmp_iToken": (ctypes.c_int, [pointer, pointer]),
        "cmp_pToken": (ctypes.c_int, [pointer, pointer]),
        "export_iToken": (ctypes.c_int, [pointer, text, size]),
        "import_iToken": (ctypes.c_int, [pointer, text]),
        "get_token_attr": (ctypes.c_int, [pointer, number, ctypes.POINTER(number), pointer]),
        "set_token_attr": (ctypes.c_int, [pointer, number, number, pointer]),
        "get_socket_pToken": (ctypes.c_int, [ctypes.c_int, pointer]),
        "set_socket_pToken": (ctypes.c_int, [ctypes.c_int, pointer]),
        "enable_msg_pToken": (ctypes.c_int, [ctypes.c_int]),
        "get_msg_pToken": (ctypes.c_int, [ctypes.POINTER(_Msghdr), pointer]),
        "require": (ctypes.c_int, [ctypes.c_int, text, text]),
        "connect": (ctypes.c_int, [ctypes.c_int, text, number, text, text, ctypes.c_int]),
        "latch_create": (ctypes.c_int, [ctypes.POINTER(pointer), ctypes.c_int, pointer, number]),
        "latch_listen": (ctypes.c_int, [ctypes.POINTER(pointer), ctypes.c_int, pointer, number]),
        "latch_find": (ctypes.c_int, [ctypes.POINTER(pointer), ctypes.c_int, number]),
        "socket_pairs": (ctypes.c_int, [ctypes.c_int, ctypes.POINTER(_Pair), size]),
        "get_pair_pToken": (ctypes.c_int, [ctypes.c_int, ctypes.POINTER(_Pair), pointer]),
        "latch_create_pair": (ctypes.c_int, [ctypes.POINTER(pointer), ctypes.c_int,
                                             ctypes.POINTER(_Pair), pointer, number]),
        "latch_find_pair": (ctypes.c_int, [ctypes.POINTER(pointer), ctypes.c_int,
                                           ctypes.POINTER(_Pair)]),
        "latch_by_number": (ctypes.c_int, [ctypes.POINTER(pointer), ctypes.c_uint64]),
        "latch_inquire": (ctypes.c_int, [pointer, ctypes.POINTER(_LatchInfo)]),
        "latch_release": (ctypes.c_int, [pointer]), "latch_free": (None, [pointer]),
        "latch_number": (ctypes.c_uint64, [pointer]),
        "event_fd": (ctypes.c_int, []),
        "event_next": (ctypes.c_int, [ctypes.POINTER(_Event)]),
        "decide": (ctypes.c_int, [ctypes.c_uint64, ctypes.c_bool]),
        "path_add": (ctypes.c_int, [text, text, text, number, number, ctypes.POINTER(number)]),
        "path_remove": (ctypes.c_int, [text, number]),
        "path_move": (ctypes.c_int, [text, number, ctypes.c_bool]),
        "path_prefer": (ctypes.c_int, [text, number]),
        "each_path": (ctypes.c_int, [_PathFn, pointer]),
        "last_error": (text, []), "last_reason": (ctypes.c_int, []),
        "reason_text": (text, [ctypes.c_int]), "auth_method_name": (text, [ctypes.c_int]),
        "set_socket_path": (ctypes.c_int, [text]),
    }
    for name, (result, arguments) in kinds.items():
        function = getattr(_lib, "ipsec_" + name)
        function.restype, function.argtypes = result, arguments


_declare()


class IpsecError(OSError):
    """Why a call failed. reason: a number of the header's enum ipsec_reason; 0: no peer is why."""

    def __init__(self):
        super().__init__(ctypes.get_errno(), _lib.ipsec_last_error().decode(errors="replace"))
        self.reason = _lib.ipsec_last_reason()


def _must(result):
    if result < 0:
        raise IpsecError()
    return result


def _text(value):
    return None if value is None else value.encode()


def set_socket_path(path):
    """Where the daemon's application socket is."""
    _must(_lib.ipsec_set_socket_path(os.fsencode(path)))


class _Token:
    _make = _free = None

    def __init__(self, handle=None):
        self._handle = handle or self._make()
        if not self._handle:
            raise IpsecError()

    def __del__(self):
        if getattr(self, "_handle", None):
            self._free(self._handle)

    def get(self, attr):
        """The attribute's bytes, None if it is not known."""
        room = ctypes.create_string_buffer(_ROOM)
        length = ctypes.c_uint32(_ROOM)
        try:
            _must(_lib.ipsec_get_token_attr(self._handle, attr, ctypes.byref(length), room))
        except IpsecError as error:
            if error.errno != errno.ENOENT:
                raise
            return None
        return room.raw[:length.value]

    def set(self, attr, value):
        _must(_lib.ipsec_set_token_attr(self._handle, attr, len(value), value))

    def _get_text(self, attr):
        value = self.get(attr)
        return None if value is None else value[:-1].decode(errors="replace")

    def _get_number(self, attr):
        value = self.get(attr)
        return None if value is None else struct.unpack("=I", value)[0]

    @property
    def audit(self):
        """For logs; its structure is no promise."""
        return self._get_text(Attr.AUDIT_STRING)


class IToken(_Token):
    """An identity: IToken() is empty, IToken(identity="x") for templates."""

    _make, _free = staticmethod(_lib.ipsec_create_iToken), staticmethod(_lib.ipsec_free_iToken)

    def __init__(self, handle=None, identity=None):
        super().__init__(handle)
        if identity is not None:
            self.set(Attr.IDENTITY, identity.encode() + b"\0")

    def __eq__(self, other):
        if not isinstance(other, IToken):
            return NotImplemented
        return _must(_lib.ipsec_cmp_iToken(self._handle, other._handle)) == 0

    __hash__ = None

    identity = property(lambda self: self._get_text(Attr.IDENTITY))
    authority = property(lambda self: self._get_text(Attr.CERTIFICATE_AUTHORITY_DN))
    certificate = property(lambda self: self._get_text(Attr.CERTIFICATE_DN))
    key_id = property(lambda self: self._get_text(Attr.PUBKEY_ID))
    public_key = property(lambda self: self.get(Attr.PUBLIC_KEY))
    channel_binding = property(lambda self: self.get(Attr.CHANNEL_BINDING_HASH))

    @property
    def method(self):
        number = self._get_number(Attr.AUTH_METHOD)
        return None if number is None else Method(number)

    def export(self):
        """The external form, a line of ASCII."""
        length = ctypes.c_size_t(_ROOM * 2)
        room = ctypes.create_string_buffer(length.value)
        _must(_lib.ipsec_export_iToken(self._handle, room, ctypes.byref(length)))
        return room.value.decode("ascii")

    @classmethod
    def from_text(cls, text):
        token = cls()
        _must(_lib.ipsec_import_iToken(token._handle, text.encode()))
        return token


class PToken(_Token):
    """A protection that was got, or a template: PToken(profile="secure", peer="x", ...)."""

    _make, _free = staticmethod(_lib.ipsec_create_pToken), staticmethod(_lib.ipsec_free_pToken)

    def __init__(self, profile=None, peer=None, methods=None, privacy=None, tunnel=None,
                 suite=None):
        super().__init__()
        for attr, value in ((Attr.POLICY_NAME, profile), (Attr.SUITE, suite)):
            if value is not None:
                self.set(attr, value.encode() + b"\0")
        for attr, value in ((Attr.PRIVACY_PROTECTED, privacy), (Attr.TUNNEL_MODE, tunnel)):
            if value is not None:
                self.set(attr, struct.pack("=i", value))
        if methods is not None:
            self.set(Attr.AUTH_METHODS, struct.pack(f"={len(methods)}I", *methods))
        if peer is not None:
            name = IToken(identity=peer)
            self.set(Attr.ITOKEN, bytes(ctypes.c_void_p(name._handle)))

    def __eq__(self, other):
        if not isinstance(other, PToken):
            return NotImplemented
        return _must(_lib.ipsec_cmp_pToken(self._handle, other._handle)) == 0

    __hash__ = None

    def _get_bool(self, attr):
        number = self._get_number(attr)
        return None if number is None else bool(number)

    def _get_identity(self, attr):
        value = self.get(attr)
        return None if value is None else IToken(ctypes.c_void_p.from_buffer_copy(value).value)

    private = property(lambda self: self._get_bool(Attr.PRIVACY_PROTECTED))
    integrity = property(lambda self: self._get_bool(Attr.INTEGRITY_PROTECTED))
    compression = property(lambda self: self._get_bool(Attr.COMPRESSION_AVAILABLE))
    tunnel = property(lambda self: self._get_bool(Attr.TUNNEL_MODE))
    policy = property(lambda self: self._get_text(Attr.POLICY_NAME))
    suite = property(lambda self: self._get_text(Attr.SUITE))
    peer = property(lambda self: self._get_identity(Attr.ITOKEN))
    local = property(lambda self: self._get_identity(Attr.LOCAL_ITOKEN))


def of_socket(sock, pair=None):
    """What protects a connected socket, of several pairs() one; errno.ENOENT: nothing does."""
    token = PToken()
    _must(_lib.ipsec_get_pair_pToken(sock.fileno(), pair._raw, token._handle) if pair else
          _lib.ipsec_get_socket_pToken(sock.fileno(), token._handle))
    return token


def protect(sock, token):
    """What the socket sends goes by this protection or not at all."""
    _must(_lib.ipsec_set_socket_pToken(sock.fileno(), token._handle))


def enable_messages(sock):
    """recvmsg() with MSG_SPACE bytes for control data brings each datagram's token."""
    _must(_lib.ipsec_enable_msg_pToken(sock.fileno()))


def of_message(ancillary):
    """The token among what recvmsg() gave as its second value; None: it came without protection."""
    control = b""
    for level, kind, data in ancillary:
        head = struct.pack("@Nii", struct.calcsize("@Nii") + len(data), level, kind)
        control += (head + data).ljust(-(-(len(head) + len(data)) // 8) * 8, b"\0")
    room = ctypes.create_string_buffer(control, len(control))
    message = _Msghdr(control=ctypes.addressof(room), controllen=len(control))
    token = PToken()
    try:
        _must(_lib.ipsec_get_msg_pToken(ctypes.byref(message), token._handle))
    except IpsecError as error:
        if error.errno != errno.ENOENT:
            raise
        return None
    return token


def require(sock, peer=None, profile=None):
    """The connected socket's peer is this one, protected as the profile says, or nothing passes."""
    _must(_lib.ipsec_require(sock.fileno(), _text(profile), _text(peer)))


def _address(family, address):
    host, port = address[:2]
    if family == socket.AF_INET:
        return struct.pack("=H", family) + struct.pack("!H", port) + \
            socket.inet_pton(family, host) + bytes(8)
    scope = address[3] if len(address) > 3 else 0
    return struct.pack("=H", family) + struct.pack("!HI", port, 0) + \
        socket.inet_pton(family, host) + struct.pack("=I", scope)


def connect(sock, address, peer=None, profile=None, timeout=-1):
    """The same, and sock.connect(): no packet leaves before the peer is known. timeout: seconds."""
    raw = _address(sock.family, address)
    _must(_lib.ipsec_connect(sock.fileno(), raw, len(raw), _text(profile), _text(peer),
                             int(timeout * 1000) if timeout >= 0 else -1))


async def require_async(sock, peer=None, profile=None):
    await asyncio.get_running_loop().run_in_executor(None, require, sock, peer, profile)


async def connect_async(sock, address, peer=None, profile=None, timeout=-1):
    await asyncio.get_running_loop().run_in_executor(None, connect, sock, address, peer, profile,
                                                     timeout)


def _end(raw):
    """(host, port) of a struct sockaddr_in or sockaddr_in6, None where it is neither."""
    family, port = struct.unpack_from("=H", raw)[0], struct.unpack_from("!H", raw, 2)[0]
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    host = raw[4:8] if family == socket.AF_INET else raw[8:24]
    return socket.inet_ntop(family, host), port


class Pair:
    """The ends of one subflow of an MPTCP connection, as socket has addresses."""

    def __init__(self, raw):
        self._raw = raw

    def _end(self, name):
        return _end(bytes(self._raw)[getattr(_Pair, name).offset:])

    local = property(lambda self: self._end("local"))
    remote = property(lambda self: self._end("remote"))


def pairs(sock):
    """Those that the connection has now, the oldest first."""
    room, number = (_Pair * 32)(), ctypes.c_size_t(32)
    _must(_lib.ipsec_socket_pairs(sock.fileno(), room, ctypes.byref(number)))
    return [Pair(raw) for raw in room[:number.value]]


class Latch:
    """A latch of RFC 5660; Latch.create(), listen() and find() make one. It stays as it is when the
    object goes; release() ends it."""

    def __init__(self, handle):
        self._handle = handle

    @classmethod
    def _of(cls, function, sock, *arguments):
        handle = ctypes.c_void_p()
        _must(function(ctypes.byref(handle), sock.fileno(), *arguments))
        return cls(handle.value)

    @classmethod
    def create(cls, sock, demand=None, keep=False, pair=None):
        """pair: of a connection of MPTCP that one, of pairs()."""
        more = (demand and demand._handle, KEEP if keep else 0)
        return cls._of(_lib.ipsec_latch_create_pair, sock, pair._raw, *more) if pair else \
            cls._of(_lib.ipsec_latch_create, sock, *more)

    @classmethod
    def listen(cls, sock, demand=None, keep=False):
        return cls._of(_lib.ipsec_latch_listen, sock, demand and demand._handle,
                       KEEP if keep else 0)

    @classmethod
    def find(cls, sock, listener=False, pair=None):
        if pair:
            return cls._of(_lib.ipsec_latch_find_pair, sock, pair._raw)
        return cls._of(_lib.ipsec_latch_find, sock, LISTENER if listener else 0)

    def __del__(self):
        if getattr(self, "_handle", None):
            _lib.ipsec_latch_free(self._handle)

    def _inquire(self):
        info = _LatchInfo(size=ctypes.sizeof(_LatchInfo))
        _must(_lib.ipsec_latch_inquire(self._handle, ctypes.byref(info)))
        return info

    number = property(lambda self: _lib.ipsec_latch_number(self._handle))
    state = property(lambda self: State(self._inquire().state))
    text = property(lambda self: self._inquire().text.decode(errors="replace"))

    def release(self):
        handle, self._handle = self._handle, None
        _must(_lib.ipsec_latch_release(handle))


class Path:
    """A path to a peer as it was when paths() looked. local, remote: (host, port); rtt in seconds, loss
    a part of 1, rate in bytes a second, mtu in bytes: None if it is not known."""

    def __init__(self, raw):
        self.number, self.state = raw.number, PathState(raw.state)
        self.connection = raw.connection.decode(errors="replace")
        self.peer = raw.peer.decode(errors="replace")
        self.decides, self.udp = raw.decides, raw.udp
        self.priority, self.weight = raw.priority, raw.weight
        self.local, self.remote = _end(bytes(raw.local)), _end(bytes(raw.remote))
        self.rtt = raw.rtt_us / 1e6 if raw.rtt_us else None
        self.loss = raw.loss_permille / 1000 if raw.rtt_us else None
        self.mtu, self.rate = raw.mtu or None, raw.rate or None
        self.rx_packets, self.rx_bytes = raw.rx_packets, raw.rx_bytes
        self.tx_packets, self.tx_bytes = raw.tx_packets, raw.tx_bytes


def paths():
    """Those to every peer, for who may read all."""
    found = []
    _must(_lib.ipsec_each_path(_PathFn(lambda _, raw: found.append(Path(raw.contents))), None))
    return found


def _host(text):
    return _address(socket.AF_INET6 if ":" in text else socket.AF_INET, (text, 0))


def path_add(name, local, remote=None, priority=0, weight=0):
    """One path more, for who may configure, to what is up under this name, a connection's or a
    peer's: from an address of this host to one of the peer, None: where IKE goes. Returns its
    number; 0: the peer decides, and was told. Waits for the peers, as the next three do."""
    number = ctypes.c_uint32()
    _must(_lib.ipsec_path_add(_text(name), _host(local), remote and _host(remote), priority, weight,
                              ctypes.byref(number)))
    return number.value


def path_remove(name, number):
    """It goes at once."""
    _must(_lib.ipsec_path_remove(_text(name), number))


def path_move(name, number, hard=False):
    """Traffic goes by it as soon as it carries; hard: the paths that had it go."""
    _must(_lib.ipsec_path_move(_text(name), number, hard))


def path_prefer(name, number):
    """It goes before all others by its priority."""
    _must(_lib.ipsec_path_prefer(_text(name), number))


async def path_move_async(name, number, hard=False):
    await asyncio.get_running_loop().run_in_executor(None, path_move, name, number, hard)


class Event:
    """What happened. peer: an IToken with ASK, answered by accept() or reject(). news: a PathNews with
    PATH, of the path with this number between local and remote; path_from: which one had the traffic
    before, 0 = none."""

    def __init__(self, raw):
        self.kind, self.state = EventKind(raw.kind), State(raw.state)
        self.latch, self.parent, self.ask = raw.latch, raw.parent, raw.ask
        self.reason, self.text = raw.reason, raw.text.decode(errors="replace")
        self.timeout = raw.timeout_ms / 1000
        self.peer = IToken(raw.peer) if raw.peer else None
        self.news = PathNews(raw.news) if raw.news else None
        self.path, self.path_from = raw.path, getattr(raw, "from")
        self.connection = raw.connection.decode(errors="replace")
        self.local, self.remote = _end(bytes(raw.local)), _end(bytes(raw.remote))

    def accept(self):
        _must(_lib.ipsec_decide(self.ask, True))

    def reject(self):
        _must(_lib.ipsec_decide(self.ask, False))


def next_event():
    """The next event, None if there is none now."""
    raw = _Event(size=ctypes.sizeof(_Event))
    return Event(raw) if _must(_lib.ipsec_event_next(ctypes.byref(raw))) else None


def event_fd():
    """A descriptor that is readable when next_event() has something; the library's."""
    return _must(_lib.ipsec_event_fd())


async def events():
    """Events without end, for `async for`."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    fd = event_fd()
    loop.add_reader(fd, ready.set)
    try:
        while True:
            ready.clear()
            while (event := next_event()) is not None:
                yield event
            await ready.wait()
    finally:
        with contextlib.suppress(RuntimeError):
            loop.remove_reader(fd)

"""A cable between the browser and the server that can be unplugged: a relay of TCP connections."""
import socket
import threading


class Cable:
    """Relays connections to a port of this machine while it is plugged in."""

    def __init__(self, to_port):
        self.to_port = to_port
        self.lock = threading.Lock()
        self.sockets = set()
        self.is_plugged = True
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.to_port))
            except OSError:
                near.close()
                continue
            if not self.hold(near, far):
                continue
            threading.Thread(target=self.relay, args=(near, far), daemon=True).start()
            threading.Thread(target=self.relay, args=(far, near), daemon=True).start()

    def hold(self, *pair):
        with self.lock:
            if self.is_plugged:
                self.sockets.update(pair)
                return True
        for one in pair:
            one.close()
        return False

    def relay(self, source, target):
        try:
            while chunk := source.recv(65536):
                target.sendall(chunk)
        except OSError:
            pass
        with self.lock:
            self.sockets -= {source, target}
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def pull(self):
        """Cuts existing connections, and new ones at once."""
        with self.lock:
            self.is_plugged = False
            for one in self.sockets:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def plug(self):
        with self.lock:
            self.is_plugged = True

    def close(self):
        self.pull()
        self.listener.close()

"""What `make lab` tells JupyterLab's server: send each message of a kernel at once.

Without that, small messages wait for one another (Nagle's algorithm), and a slider's picture comes
some 10 milliseconds later. The rest of the configuration is the reader's own.
"""

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class PromptConnection(ZMQChannelsWebsocketConnection):
    """A connection to a kernel whose messages don't wait for one another."""

    async def connect(self):
        """Connect, and say so to the socket first."""
        self.websocket_handler.set_nodelay(True)
        return await super().connect()


c = get_config()  # noqa: F821 - it's there when a server reads this file
c.ServerApp.kernel_websocket_connection_class = PromptConnection

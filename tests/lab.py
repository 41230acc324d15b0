"""A real JupyterLab in a headless Chromium, for the browser tests."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SETTINGS = {
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
}


@contextlib.contextmanager
def serve(folder):
    """Run JupyterLab on a copy of the course in `folder` and yield its address."""
    for part in ("utils", "lrsweep", "course", "notebooks", "data", "exercises"):
        shutil.copytree(ROOT / part, folder / part, dirs_exist_ok=True)
    shutil.copy(ROOT / "pyproject.toml", folder)
    settings = folder / "settings"
    for name, values in SETTINGS.items():
        (settings / name).parent.mkdir(parents=True, exist_ok=True)
        (settings / name).write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", "--allow-root"]
    command += ["--expose-app-in-browser", "--LabApp.collaborative=False"]
    environment = {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(settings)}
    environment["JUPYTER_CONFIG_PATH"] = str(ROOT / "course" / "jupyter")  # as `make lab` does
    with open(folder / "server.log", "w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/api", timeout=1)
                break
            time.sleep(0.25)
        else:
            raise TimeoutError((folder / "server.log").read_text())
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


def open_notebook(page, address, path):
    """Open a notebook and wait until its kernel is ready."""
    page.goto(f"{address}/lab/tree/{path}?reset")
    page.wait_for_function(
        """() => {
            const app = window.jupyterapp, panel = app && app.shell.currentWidget;
            const session = panel && panel.sessionContext && panel.sessionContext.session;
            return session && session.kernel && session.kernel.status === 'idle';
        }""",
        timeout=90_000,
    )


def run_all(page, timeout=180_000):
    """Run every cell, wait for the last one, and return the notebook as it now stands."""
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    return page.evaluate("() => window.jupyterapp.shell.currentWidget.model.toJSON()")


def errors(notebook):
    """Return the errors that the notebook shows, as (cell, name, text)."""
    return [
        (number, output["ename"], output["evalue"])
        for number, cell in enumerate(notebook["cells"])
        for output in cell.get("outputs", [])
        if output["output_type"] == "error"
    ]


def photograph(page, folder, name, height=2600):
    """Write screenshots of the whole open notebook, one below the other."""
    folder.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size({"width": 1366, "height": height})
    scroller = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer"
    full = page.evaluate(f"() => document.querySelector('{scroller}').scrollHeight")
    for number, top in enumerate(range(0, full, height - 120)):
        page.evaluate(f"() => document.querySelector('{scroller}').scrollTo(0, {top})")
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{name}_{number:02}.png")
    page.set_viewport_size({"width": 1366, "height": 768})

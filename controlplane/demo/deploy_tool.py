"""What the allow-listed commands of the quick start do: make a release directory ready, and have the host take it over.

deploy_tool.py prepare ARTIFACT RELEASE_DIR
deploy_tool.py restart RUN_DIR ENVIRONMENT
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

#: What the artifacts hold. A build server would make them; here a version is a set of switched-on features.
ARTIFACTS: dict[str, dict[str, object]] = {
    "sample-app-1.0.0": {"version": "1.0.0", "features": []},
    "sample-app-1.1.0": {"version": "1.1.0", "features": ["reminders"]},
    "sample-app-1.2.0": {"version": "1.2.0", "features": ["reminders", "member-since"]},
}


def prepare(artifact: str, release_dir: str) -> None:
    if artifact not in ARTIFACTS:
        sys.exit(f"There is no artifact {artifact!r}. Known: {', '.join(ARTIFACTS)}.")
    directory = Path(release_dir)
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(__file__).parent / "sample_app.py", directory / "app.py")
    (directory / "release.json").write_text(json.dumps(ARTIFACTS[artifact]))
    print(f"{artifact} is ready in {directory.name}")


def restart(run_dir: str, environment: str) -> None:
    """Tells the host; whether the new release answers is found out by the health check, not here."""
    pid_file = Path(run_dir) / f"host-{environment}.pid"
    if not pid_file.exists():
        sys.exit(f"The host of {environment} is not running.")
    os.kill(int(pid_file.read_text()), signal.SIGHUP)
    print(f"The host of {environment} restarts the application")


if __name__ == "__main__":
    {"prepare": prepare, "restart": restart}[sys.argv[1]](*sys.argv[2:])

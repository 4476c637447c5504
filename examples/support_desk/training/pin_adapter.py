"""Puts a trained adapter into the desk, with its hashes: `python -m training.pin_adapter ADAPTER.gguf`."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path

from surefoot.models.providers import weights

FOLDER = Path(__file__).parents[1] / "support_desk" / "adapter"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter", type=Path)
    trained: Path = parser.parse_args().adapter
    FOLDER.mkdir(exist_ok=True)
    shutil.copyfile(trained, FOLDER / "triage.gguf")
    manifest = {
        "file": "triage.gguf",
        "sha256": hashlib.sha256(trained.read_bytes()).hexdigest(),
        "weights": weights.SHA256,
        "outputs": ["Triage"],
    }
    (FOLDER / "adapter.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    print(f"{FOLDER / 'adapter.json'}: {manifest['sha256'][:16]}...")


if __name__ == "__main__":
    main()

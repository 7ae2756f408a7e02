"""Write losses.json: what torch's losses and their gradients are in the cases of losses_oracle.py.

    python -m pip install torch
    python tests/python/references/make_losses.py

Run again after a case has changed; the tests read the file, so that they need no torch.
"""

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import losses_oracle


def main() -> None:
    """Ask torch, and write the numbers in full, with the version that gave them."""
    answers = {
        name: losses_oracle.torch_answer(torch, case) for name, case in losses_oracle.CASES.items()
    }
    text = json.dumps({"torch": torch.__version__, "answers": answers}).replace("]},", "]},\n")
    losses_oracle.STORED.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The declaration as a mermaid state diagram: `python -m by_cp.statemachine.diagram`."""

from __future__ import annotations

from by_cp.statemachine.declaration import TRANSITIONS


def mermaid() -> str:
    """Draw every transition, with its effects in the order in which they happen."""
    lines = ["stateDiagram-v2"]
    for row in TRANSITIONS:
        source = row["source"].value if row["source"] is not None else "[*]"
        effects = ", ".join(effect.value for effect in row.get("after", ()))
        label = f"{row['trigger']} / {effects}" if effects else row["trigger"]
        lines.append(f"    {source} --> {row['dest'].value}: {label}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(mermaid(), end="")

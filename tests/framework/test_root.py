"""What `from by_cp import …` offers, and what `import by_cp` costs."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import by_cp


@pytest.mark.parametrize("name", by_cp.__all__)
def test_every_public_name_resolves(name: str) -> None:
    """Each is there, and is what its own module has under that name."""
    value = getattr(by_cp, name)

    assert name in dir(by_cp)
    if name != "__version__":
        assert getattr(importlib.import_module(value.__module__), name) is value


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As with any module, so that `hasattr` and `from by_cp import x` behave."""
    assert not hasattr(by_cp, "NoSuchName")


def test_importing_the_root_is_cheap() -> None:
    """It alone loads neither the client library nor the state machine's, nor msgspec."""
    code = (
        "import sys, by_cp\n"
        "print(*sorted({'redis', 'transitions', 'msgspec', 'asyncio'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_a_program_without_a_server_needs_no_client_library() -> None:
    """A user's test on the store in memory loads no redis."""
    code = (
        "import sys\n"
        "from by_cp import GatewayClient\n"
        "from by_cp.log.memory import MemoryStore\n"
        "GatewayClient(redis_client=MemoryStore())\n"
        "print('redis' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_what_type_checkers_see_is_what_is_loaded() -> None:
    """The imports that only type checkers run name the same modules as the table that is used."""
    source = Path(str(by_cp.__file__)).read_text()
    seen = {
        alias.name: node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("by_cp.")
        for alias in node.names
    }

    assert seen == {name: f"by_cp.{module}" for name, module in by_cp._MODULE_OF.items()}
    assert {*seen, "__version__"} == set(by_cp.__all__)

"""Which port each program gets."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.laptop.errors import LaptopError
from deploy.laptop.ports import any_free_port, choose_ports, is_taken, keep_ports, kept_ports


def taken(*ports: int) -> Callable[[int], bool]:
    return lambda port: port in ports


def free(*ports: int) -> Callable[[], int]:
    return iter(ports).__next__


def test_a_taken_port_is_said_with_the_command_that_helps() -> None:
    with pytest.raises(LaptopError) as refusal:
        choose_ports({"kafka": 9092}, {}, taken(9092), free())
    assert str(refusal.value) == (
        "Port 9092 is taken by another program. Stop it, or choose another: tuneloop up --kafka-port 19092"
    )


def test_a_port_asked_for_twice_is_refused() -> None:
    with pytest.raises(LaptopError, match="8080 is asked for twice, by gateway and services"):
        choose_ports({"gateway": 8080, "services": 8080}, {}, taken(), free())


def test_no_port_is_suggested_that_does_not_exist() -> None:
    with pytest.raises(LaptopError, match=r"--models-port 0$"):
        choose_ports({"models": 60_000}, {}, taken(60_000), free())


def test_0_gives_the_port_of_the_last_run_while_it_is_free() -> None:
    assert choose_ports({"kafka": 0}, {"kafka": 5001}, taken(), free(5002)) == {"kafka": 5001}
    assert choose_ports({"kafka": 0}, {"kafka": 5001}, taken(5001), free(5002)) == {"kafka": 5002}


def test_0_never_gives_a_port_twice() -> None:
    chosen = choose_ports(
        {"kafka": 0, "models": 0, "gateway": 5001}, {"kafka": 5001}, taken(), free(5001, 5002, 5002, 5003)
    )
    assert chosen == {"kafka": 5002, "models": 5003, "gateway": 5001}


def test_ports_of_programs_not_started_this_time_are_remembered(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    keep_ports(file, {"kafka": 1, "models": 2})
    keep_ports(file, {"models": 3})
    assert kept_ports(file) == {"kafka": 1, "models": 3}


def test_a_listening_program_takes_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert is_taken(listening.getsockname()[1])
    assert not is_taken(any_free_port())

"""A signature proves the whole folder and who signed it; nothing that may run code is ever good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.signing_key import PRIVATE, PUBLIC
from shared.adapters import signature
from shared.adapters.refusals import AdapterRefused, NotSigned, Tampered, UnsafeFiles
from shared.adapters.signature import SIGNATURE_FILE, CannotUseKeys, Verifier, prove_keys
from tests.servers.model import ROOT
from tests.shared.adapters.keys import key_pair, sign


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "tickets-v1"
    (folder / "more").mkdir(parents=True)
    for name in ("adapter_model.safetensors", "adapter_config.json", "README.md", "more/contract.json"):
        (folder / name).write_text(f"what {name} holds")
    return folder


def test_what_was_signed_is_verified_wherever_it_lies_and_whatever_it_is_called(
    adapter: Path, tmp_path: Path
) -> None:
    private, public = key_pair(tmp_path)
    sign(adapter, private)
    Verifier(public).verify(adapter)
    Verifier(public).verify(adapter.rename(tmp_path / "tickets-v1-0123abcd"))


def test_the_signature_is_a_sigstore_bundle_that_names_every_file(adapter: Path, tmp_path: Path) -> None:
    import base64

    sign(adapter, key_pair(tmp_path)[0])
    bundle = json.loads((adapter / SIGNATURE_FILE).read_text())
    assert bundle["mediaType"].startswith("application/vnd.dev.sigstore.bundle")
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert [resource["name"] for resource in statement["predicate"]["resources"]] == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "more/contract.json",
    ]


def changed(folder: Path) -> None:
    (folder / "adapter_model.safetensors").write_text("other weights")


def added(folder: Path) -> None:
    (folder / "more" / "chat_template.jinja").write_text("{{ text }}")


def added_below_git(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "hook.txt").write_text("one that model-signing would leave out")


def removed(folder: Path) -> None:
    (folder / "more" / "contract.json").unlink()


def renamed(folder: Path) -> None:
    (folder / "README.md").rename(folder / "OTHER.md")


def signature_changed(folder: Path) -> None:
    bundle = json.loads((folder / SIGNATURE_FILE).read_text())
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = "AAAA"
    (folder / SIGNATURE_FILE).write_text(json.dumps(bundle))


def signature_no_bundle(folder: Path) -> None:
    (folder / SIGNATURE_FILE).write_text("{}")


@pytest.mark.parametrize(
    "harm", [changed, added, added_below_git, removed, renamed, signature_changed, signature_no_bundle]
)
def test_what_was_changed_after_signing_is_tampered_with(
    adapter: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    private, public = key_pair(tmp_path)
    sign(adapter, private)
    harm(adapter)
    with pytest.raises(Tampered, match=r"tickets-v1 is not what was signed .* Restore"):
        Verifier(public).verify(adapter)


def test_an_unsigned_adapter_is_refused_and_the_message_says_what_to_do(
    adapter: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        NotSigned, match=r"tickets-v1 is not signed.*Train it anew with RETRAINING_SIGNING_KEY"
    ):
        Verifier(key_pair(tmp_path)[1]).verify(adapter)


def test_one_signed_by_another_key_is_refused(adapter: Path, tmp_path: Path) -> None:
    sign(adapter, key_pair(tmp_path, "theirs")[0])
    with pytest.raises(NotSigned, match="signed by a key that ADAPTERS_PUBLIC_KEY does not hold"):
        Verifier(key_pair(tmp_path, "ours")[1]).verify(adapter)


def test_a_signature_moved_from_another_adapter_proves_nothing(adapter: Path, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "adapter_model.safetensors").write_text("theirs")
    for folder in (adapter, other):
        sign(folder, private)
    (adapter / SIGNATURE_FILE).write_bytes((other / SIGNATURE_FILE).read_bytes())
    with pytest.raises(Tampered):
        Verifier(public).verify(adapter)


def test_a_signature_that_claims_our_key_and_was_made_by_another_is_tampered(
    adapter: Path, tmp_path: Path
) -> None:
    (theirs, _), (ours, public) = key_pair(tmp_path, "theirs"), key_pair(tmp_path, "ours")
    sign(adapter, ours)
    hint = json.loads((adapter / SIGNATURE_FILE).read_text())["verificationMaterial"]
    (adapter / SIGNATURE_FILE).unlink()
    sign(adapter, theirs)
    bundle = json.loads((adapter / SIGNATURE_FILE).read_text())
    bundle["verificationMaterial"] = hint
    (adapter / SIGNATURE_FILE).write_text(json.dumps(bundle))
    with pytest.raises(Tampered):
        Verifier(public).verify(adapter)


def link_to_a_file(folder: Path) -> None:
    (folder / "passwords.txt").symlink_to("/etc/passwd")


def link_to_a_folder(folder: Path) -> None:
    (folder / "etc").symlink_to("/etc")


def named_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.json")


def signature_is_a_link(folder: Path) -> None:
    signature = folder / SIGNATURE_FILE
    signature.symlink_to(signature.rename(folder.parent / "elsewhere.sig"))


@pytest.mark.parametrize("harm", [link_to_a_file, link_to_a_folder, named_pipe, signature_is_a_link])
def test_an_adapter_holds_plain_files_and_no_links(
    adapter: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    private, public = key_pair(tmp_path)
    sign(adapter, private)
    harm(adapter)
    for verifier in (Verifier(public), Verifier(None)):
        with pytest.raises(UnsafeFiles, match="a link or no file"):
            verifier.verify(adapter)
    with pytest.raises(UnsafeFiles):
        sign(adapter, private)


@pytest.mark.parametrize(
    "name", ["adapter_model.bin", "training_args.bin", "x.pt", "x.pth", "x.pkl", "more/x.ckpt", "x.py", "x"]
)
def test_weights_are_safetensors_and_nothing_that_may_run_is_loaded_or_signed(
    adapter: Path, tmp_path: Path, name: str
) -> None:
    private, public = key_pair(tmp_path)
    (adapter / name).write_bytes(b"\x80\x04")
    with pytest.raises(UnsafeFiles, match=f"holds {name}. Weights are safetensors only"):
        sign(adapter, private)
    for verifier in (Verifier(public), Verifier(None)):
        with pytest.raises(AdapterRefused, match="safetensors only"):
            verifier.verify(adapter)


def test_without_a_public_key_no_signature_is_asked_for(adapter: Path) -> None:
    assert not Verifier(None).is_on
    Verifier(None).verify(adapter)


def test_keys_are_rotated_by_a_folder_of_them_while_the_verifier_runs(adapter: Path, tmp_path: Path) -> None:
    (old_private, old), (new_private, new) = key_pair(tmp_path, "old"), key_pair(tmp_path, "new")
    verifier = Verifier(old.parent)
    later = new.rename(tmp_path / "new.pem")
    sign(adapter, old_private)
    verifier.verify(adapter)
    sign(adapter, new_private)
    with pytest.raises(NotSigned):
        verifier.verify(adapter)
    later.rename(new)
    verifier.verify(adapter)
    sign(adapter, old_private)
    verifier.verify(adapter)
    old.unlink()
    with pytest.raises(NotSigned):
        verifier.verify(adapter)


def test_keys_that_are_none_are_said_when_the_verifier_is_made(tmp_path: Path) -> None:
    private, _ = key_pair(tmp_path)
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere.pem", tmp_path / "empty", private):
        with pytest.raises(CannotUseKeys, match=f"ADAPTERS_PUBLIC_KEY.*{path}"):
            Verifier(path)


@pytest.mark.parametrize(
    "content", [None, "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_signing_key_that_is_none_is_named(adapter: Path, tmp_path: Path, content: str | None) -> None:
    key = tmp_path / "signing.pem"
    if content is not None:
        key.write_text(content)
    for setting in ("RETRAINING_SIGNING_KEY", "SHADOW_DEPLOYMENT_SIGNING_KEY"):
        with pytest.raises(CannotUseKeys, match=f"^{setting}: {key}"):
            signature.sign(adapter, key, setting)


def test_keys_that_belong_together_are_proved(tmp_path: Path) -> None:
    private, public = key_pair(tmp_path)
    prove_keys(private, Verifier(public))
    prove_keys(private, Verifier(None))
    prove_keys("", Verifier(""))


def test_keys_that_do_not_belong_together_are_said_before_anything_is_trained(tmp_path: Path) -> None:
    (private, _), (_, public) = key_pair(tmp_path, "one"), key_pair(tmp_path, "another")
    with pytest.raises(CannotUseKeys, match=r"does not hold the public key of RETRAINING_SIGNING_KEY"):
        prove_keys(private, Verifier(public))
    with pytest.raises(CannotUseKeys, match="RETRAINING_SIGNING_KEY is not"):
        prove_keys(None, Verifier(public))


def test_a_pair_for_production_is_made_by_a_command_that_never_replaces_one(
    adapter: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "deploy.signing_key", str(tmp_path / "keys")]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    private, public = tmp_path / "keys" / PRIVATE, tmp_path / "keys" / PUBLIC
    assert f"RETRAINING_SIGNING_KEY={private}" in made.stdout
    assert private.stat().st_mode & 0o777 == 0o600
    prove_keys(private, Verifier(public))
    before = private.read_text()
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert private.read_text() == before

"""Why an adapter is not loaded. Each message says what to do; whoever knows more to do says both as one."""

from __future__ import annotations

TRAIN = "train it anew"


class AdapterRefused(Exception):
    """This adapter must not answer. Its files say so, and no server will change that.

    `what` is wrong with it; `mend`, what brings it back, if anything does; `train`, what brings another one.
    """

    def __init__(self, what: str, *, mend: str = "", train: str = TRAIN) -> None:
        super().__init__(f"{what}. {advice(mend, train)}")
        self.what, self.mend, self.train = what, mend, train


def advice(*ways_out: str) -> str:
    """One sentence, of each way out that is there: "Restore its files, or train it anew." """
    *others, last = (way for way in ways_out if way)
    said = f"{', '.join(others)}, or {last}" if others else last
    return f"{said[0].upper()}{said[1:]}."


class NoContract(AdapterRefused):
    """It has no contract that can be read: nobody knows how it is to be asked."""


class Tampered(AdapterRefused):
    """Its files are not those that were frozen or signed."""


class NotSigned(AdapterRefused):
    """It has no signature, and this installation loads only what is signed."""


class UnsafeFiles(AdapterRefused):
    """It holds links, or files of a kind that may run code in whoever loads them."""


class NotAsAnnounced(AdapterRefused):
    """Its contract is of another base model than the event that announced it."""


class NotForThisServer(AdapterRefused):
    """This adapter and this model server do not go together; with another server it may."""


class AnotherBase(NotForThisServer):
    """The model server does not serve the base model it was trained on."""


class OtherTokens(NotForThisServer):
    """The model server's tokenizer is not the one it was trained with."""


class RankTooHigh(NotForThisServer):
    """Its rank is above what the model server takes."""

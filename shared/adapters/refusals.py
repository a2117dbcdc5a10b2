"""Why an adapter is not loaded. Each message says what to do."""

from __future__ import annotations


class AdapterRefused(Exception):
    """This adapter must not answer. Its files say so, and no server will change that."""


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

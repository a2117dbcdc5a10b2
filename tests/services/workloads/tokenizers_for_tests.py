"""Tokenizers of several kinds: the demo's, and small ones trained here in a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from services.workloads.label_words import LabelWords
from tests.servers.model import base_model_folder

TokensOf = Callable[[str], list[int]]

SENTENCES = [
    "the parcel has not arrived and the card was lost or stolen on the way",
    "please refund my money, the transfer failed and the card payment was declined",
    "Karte verloren Überweisung fehlgeschlagen Passwort vergessen Rückerstattung Konto",
    "退款 退款 转账 转账 密码 密码 丢失 丢失 卡 卡",
    "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "1 2 3 4 5 6 7 8 9 10 11 12",
] * 20


@cache
def smollm2() -> Tokenizer:
    """Byte-level BPE, English, each digit by itself."""
    return Tokenizer.from_file(str(base_model_folder() / "tokenizer.json"))


@cache
def small_bpe() -> Tokenizer:
    """Byte-level BPE on a few sentences of three languages."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=800, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@cache
def word_pieces() -> Tokenizer:
    """BERT's kind: small letters only, blanks lost, and one token for every word it does not know."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(SENTENCES[:2] * 20, trainer)
    return tokenizer


@cache
def metaspace() -> Tokenizer:
    """Llama 2's kind: a blank is put before every text, so the text " card" has two."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator([word for line in SENTENCES for word in line.split()], trainer)
    return tokenizer


KINDS: Mapping[str, Callable[[], Tokenizer]] = {
    "smollm2": smollm2,
    "small BPE": small_bpe,
    "word pieces": word_pieces,
    "metaspace": metaspace,
}


def tokens_of(tokenizer: Tokenizer) -> TokensOf:
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


def chosen(choice: LabelWords, tokens_of: TokensOf) -> dict[str, str]:
    """The answers, as the service finds them: it asks for tokens until nothing is missing."""
    tokens: dict[str, Sequence[int]] = {}
    while texts := choice.still_to_ask(tokens):
        tokens |= {text: tokens_of(text) for text in texts}
    return choice.answers(tokens)

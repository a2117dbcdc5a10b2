"""Which tokenizer it is, told by what it makes of a fixed list of texts: locally and over HTTP the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence

PROBES: tuple[str, ...] = (
    "The quick brown fox jumps over the lazy dog. THE QUICK BROWN FOX!",
    " refund card_lost gpl-2.0-plus top_up_by_bank_transfer_charge reverted_card_payment?",
    " A B C AA AB a b c 0 1 2 10 2026 3.14159 1,000,000 0x1F",
    "\tdef f(x):\n        return [x ** 2 for _ in range(10)]  # ok\r\n\n\n",
    "   three blanks before, two after  ",
    "isn't we're they'll I'd “quoted” – dash — em… 50 % € £ ¥ © ½ ²",
    "Überweisung fehlgeschlagen, Rückerstattung für Straße Nr. 7",
    "À l'été, l'œuvre déçoit; ¿dónde está el niño? Não há coração",
    "Zażółć gęślą jaźń. Příliš žluťoučký kůň. İstanbul'da ığdır",
    "Широкая электрификация южных губерний даст мощный толчок",
    "Η γρήγορη καφέ αλεπού πηδάει πάνω από το σκυλί",
    "敏捷的棕色狐狸跳过了懒狗。退款 丢失的卡 国际转账",
    "素早い茶色の狐がのろまな犬を飛び越える。カードを紛失",
    "빠른 갈색 여우가 게으른 개를 뛰어넘는다",
    "الثعلب البني السريع يقفز فوق الكلب الكسول ١٢٣",
    "השועל החום המהיר קופץ מעל הכלב העצלן",
    "तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है",
    "สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ",
    "👍👎🏽👩‍👩‍👧 ∑∫√≤ → ⇒ ☃ e\u0301 é",
)
"""Scripts, digits, blanks, punctuation; no model's special tokens. A change changes every digest."""


def tokenizer_digest(token_ids: Sequence[Sequence[int]]) -> str:
    """SHA-256 over the token ids of PROBES in their order, each text by itself and without special tokens.

    Raises ValueError unless there is one list of ids for each probe.
    """
    if len(token_ids) != len(PROBES):
        raise ValueError(f"{len(token_ids)} lists of token ids, but there are {len(PROBES)} probes")
    said = json.dumps([list(ids) for ids in token_ids], separators=(",", ":"))
    return f"sha256:{hashlib.sha256(said.encode()).hexdigest()}"


async def served_tokenizer_digest(tokenize: Callable[[str], Awaitable[Sequence[int]]]) -> str:
    """The digest of a served model's tokenizer, asked text by text. Raises what `tokenize` raises."""
    return tokenizer_digest([await tokenize(probe) for probe in PROBES])

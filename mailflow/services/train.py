"""Train the triage model: answer unseen mails, calibrate, set thresholds, judge, promote."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailflow.adapters.deciders import Answers, Decider, Numbers, calibrate
from mailflow.adapters.models import DEAR, FIRST, FORMAT, Model, hash_file
from mailflow.adapters.nlp import RuleMatcher, load_rules
from mailflow.adapters.triager import as_scores, find_rule_files
from mailflow.adapters.wording import Acts
from mailflow.core.judging import is_settled
from mailflow.services.evaluate import Answer, answers_of_model, join_answers, measure
from mailflow.services.thresholds import choose_settling, choose_thresholds
from mailflow.services.train_data import (
    OWN,
    Example,
    Prepared,
    golden_ids,
    group_neighbours,
    hash_data,
    prepare,
)
from mailflow.services.train_fit import (
    Progress,
    answer_unseen,
    calibrated_deciders,
    fit_decider,
    labels_of,
    learn_acts,
    learn_space,
    tabulate,
)


@dataclass(frozen=True, slots=True)
class Trained:
    """A new model and what was measured on mails that it had not seen."""

    model: Model
    unseen: tuple[Answer, ...]
    metrics: Mapping[str, Any]


def load_matchers(rules_folder: Path | None = None) -> dict[str, RuleMatcher]:
    """Return the compiled rules of every language."""
    return {
        name: RuleMatcher(load_rules(path), str(path))
        for name, path in find_rule_files(rules_folder).items()
    }


def fit_model(prepared: Sequence[Prepared], acts: Acts, progress: Progress) -> Trained:
    """Fit, calibrate and measure on `prepared`; deterministic."""
    groups = group_neighbours([one.example for one in prepared])
    tables = tabulate(learn_space(prepared), prepared)
    raw = answer_unseen(tables, prepared, groups, progress)
    deciders: dict[str, Decider] = {}
    for name in raw:
        progress(f"{name}, all mails")
        labels = labels_of(prepared, name)
        chosen = np.flatnonzero(labels != "")
        deciders[name] = fit_decider(name, tables, chosen, labels[chosen], groups[chosen])
    deciders = calibrated_deciders(prepared, raw, deciders)
    first, further = _unseen_answers(prepared, raw, deciders)
    settled = choose_settling(
        [join_answers(one, said) for one, said in zip(prepared, first, strict=True)],
        [join_answers(one, said) for one, said in zip(prepared, further, strict=True)],
    )
    unseen = tuple(
        join_answers(one, early if is_settled(as_scores(early), settled) else late)
        for one, early, late in zip(prepared, first, further, strict=True)
    )
    thresholds = {**choose_thresholds(unseen), **settled}
    given = [one for one in unseen if one.source != OWN]
    share = [
        is_settled(as_scores(early), settled)
        for one, early in zip(prepared, first, strict=True)
        if one.example.source != OWN
    ]
    metrics = {
        "unseen": measure(given, thresholds),
        "mails": len(prepared),
        "settled_by_cheap_stage": round(float(np.mean(share)), 4) if share else 0.0,
    }
    data = hash_data([one.example for one in prepared])
    version = f"{data[:8]}-{fingerprint(deciders)[:8]}"
    manifest = {"data": data, "metrics": metrics}
    return Trained(
        Model(version, tables.first.space, acts, deciders, thresholds, manifest), unseen, metrics
    )


def fingerprint(deciders: Mapping[str, Decider]) -> str:
    """Return a hash of what was learned: the same mails under other rules give another one."""
    digest = hashlib.sha256()
    for name in sorted(deciders):
        digest.update(deciders[name].joint.astype(np.float16).tobytes())
    return digest.hexdigest()


def _unseen_answers(
    prepared: Sequence[Prepared], raw: Mapping[str, Numbers], deciders: Mapping[str, Decider]
) -> tuple[list[Answers], list[Answers]]:
    """What the cheap stage, and what the dear one, says of mails that it has not seen."""
    shares = {
        name: calibrate(raw[name], decider.scale, decider.shift)
        for name, decider in deciders.items()
    }

    def said(names: Mapping[str, str], at: int) -> Answers:
        return {
            name: dict(zip(deciders[stored].classes, map(float, shares[stored][at]), strict=True))
            for name, stored in names.items()
        }

    early = {name.removeprefix(FIRST): name for name in deciders if name not in DEAR}
    late = {name: name for name in deciders if not name.startswith(FIRST)}
    every = range(len(prepared))
    return [said(early, at) for at in every], [said(late, at) for at in every]


def train(
    examples: Sequence[Example], folder: Path, progress: Progress, rules: Path | None = None
) -> tuple[Trained, bool, str]:
    """Train on `examples`, write the model to `folder`, promote it if it is not worse.

    First a model that has not seen the golden set is judged on it; then the model that is
    written learns from all mails. Returns the model, whether it was promoted, and why.
    """
    progress("rules and sentences")
    acts = learn_acts()
    prepared = prepare(examples, load_matchers(rules), acts)
    golden = golden_ids()
    judging = [one for one in prepared if one.example.id in golden]
    blind = fit_model([one for one in prepared if one.example.id not in golden], acts, progress)
    answers = answers_of_model(blind.model, judging)
    golden_metrics = measure(answers, blind.model.thresholds)
    final = fit_model(prepared, acts, progress)
    metrics = {**final.metrics, "golden": golden_metrics}
    final = Trained(final.model, final.unseen, metrics)
    before = _current_metrics(folder)
    promoted, reason = is_promoted(golden_metrics, before)
    write_model(final, folder / final.model.version)
    if promoted:
        _promote(folder, final.model.version)
    return final, promoted, reason


def is_promoted(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> tuple[bool, str]:
    """Say whether the new model does not do worse on the golden set than the one in force.

    Compared are the right answers on kind, priority and exclusion together: a mail more or less
    (1 %) is within chance.
    """
    if old is None:
        return True, "there was no model in force"
    score = _golden_score(new)
    wanted = _golden_score(old)
    told = f"golden set: {score:.1%} right, the model in force {wanted:.1%}"
    return score >= wanted - 0.01, told


def _golden_score(metrics: Mapping[str, Any]) -> float:
    wanted = ("kind", "priority", "exclusion", "steps", "error")
    return float(np.mean([metrics[name]["right"] for name in wanted]))


def _current_metrics(folder: Path) -> Mapping[str, Any] | None:
    pointer = folder / "current"
    if not pointer.is_file():
        return None
    manifest = folder / pointer.read_text("utf-8").strip() / "manifest.json"
    if not manifest.is_file():
        return None
    golden: Mapping[str, Any] = json.loads(manifest.read_text("utf-8"))["metrics"]["golden"]
    return golden


def _promote(folder: Path, version: str) -> None:
    pointer = folder / "current"
    before = pointer.read_text("utf-8").strip() if pointer.is_file() else version
    fresh = folder / "current.new"
    fresh.write_text(version + "\n", "utf-8")
    fresh.replace(pointer)
    for old in sorted(folder.iterdir()):
        if old.is_dir() and old.name not in (version, before) and (old / "manifest.json").is_file():
            shutil.rmtree(old)


def write_model(trained: Trained, place: Path) -> None:
    """Write the model's files and their hashes."""
    model = trained.model
    place.mkdir(parents=True, exist_ok=True)
    _write_words(model, place / "words.json")
    np.savez_compressed(place / "weights.npz", **_arrays(model))  # type: ignore[arg-type]
    manifest = {
        "format": FORMAT,
        "version": model.version,
        "data": model.manifest["data"],
        "decisions": {
            name: {
                "classes": list(decider.classes),
                "scale": round(decider.scale, 6),
                "shift": [round(float(one), 6) for one in decider.shift],
            }
            for name, decider in model.deciders.items()
        },
        "thresholds": dict(model.thresholds),
        "metrics": trained.metrics,
        "files": {name: hash_file(place / name) for name in ("words.json", "weights.npz")},
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True)
    (place / "manifest.json").write_text(text + "\n", "utf-8")


def _write_words(model: Model, path: Path) -> None:
    words = {
        "words": list(model.space.words.places),
        "characters": list(model.space.characters.places),
        "cues": list(model.space.cues),
        "acts": list(model.acts.names),
    }
    path.write_text(json.dumps(words, ensure_ascii=False, separators=(",", ":")), "utf-8")


def _arrays(model: Model) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "words": model.space.words.weights,
        "characters": model.space.characters.weights,
        "acts": model.acts.weights,
    }
    for name, decider in model.deciders.items():
        arrays[f"{name}.wording"] = decider.wording.astype(np.float16)
        arrays[f"{name}.joint"] = decider.joint.astype(np.float16)
        if decider.forest is not None:
            forest = decider.forest
            arrays[f"{name}.feature"] = forest.feature.astype(np.int16)
            arrays[f"{name}.limit"] = forest.limit
            arrays[f"{name}.low"] = forest.low
            arrays[f"{name}.high"] = forest.high
            arrays[f"{name}.value"] = np.round(forest.value * 255).astype(np.uint8)
            arrays[f"{name}.roots"] = forest.roots
    return arrays

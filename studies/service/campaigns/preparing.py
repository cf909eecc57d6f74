"""Campaigns before they are stored: checked whole, their paths resolved, their cost estimated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.errors import InvalidInput
from studies.campaigns.document import BASELINE, MAX_RUNG, CampaignDocument
from studies.campaigns.parsing import ParsedCampaign, located, parse_campaign
from studies.campaigns.presets import load_preset
from studies.campaigns.request import CampaignPlan, CampaignRequest, RungPlan, StagePlan
from studies.campaigns.stages import MODELS, rung_spec
from studies.digest import document_digest
from studies.service.studies import check_name, check_texts, resolve_spec
from studies.spec import StudySpec, build_space
from studies.specs.cost import estimate_cost
from studies.specs.warnings import spec_warnings
from trainer.text.corpus import check_corpus, resolve_corpus


@dataclass(frozen=True, slots=True)
class PreparedCampaign:
    """A campaign that can be stored: checked, its paths absolute."""

    parsed: ParsedCampaign
    digest: str


def prepare_campaign(request: CampaignRequest, roots: Sequence[Path]) -> PreparedCampaign:
    """Check a campaign whole: its document, each study as far as it is known, and that texts and models can be read.

    Raises:
        InvalidInput: something is unusable; ``document.stages.2.study.space.depth``, or a field of the request.
    """
    corpus = None if request.corpus is None else resolve_corpus(request.corpus, roots, "corpus")
    document: Any = request.document if request.preset is None else load_preset(request.preset)
    if request.name is not None:
        document = {**document, "name": request.name}
    if corpus is not None:
        document = _with_corpus(document, corpus.model_dump(mode="json"))
    with located("document." if request.preset is None else "preset."):
        return prepare_document(document, roots)


def prepare_document(document: object, roots: Sequence[Path]) -> PreparedCampaign:
    """As ``prepare_campaign``; fields are those of the document."""
    parsed = parse_campaign(document)
    _check_names(parsed.document)
    resolved = _resolved(parsed, roots)
    parsed = parse_campaign(resolved)
    return PreparedCampaign(parsed, document_digest(parsed.document.model_dump(mode="json")))


def plan_of(parsed: ParsedCampaign) -> CampaignPlan:
    """What a campaign would train and cost."""
    document = parsed.document
    costs = [estimate_cost(spec, build_space(spec)) for spec in _specs(parsed)]
    stages = [
        StagePlan(
            name=stage.name,
            adopt=stage.adopt,
            rung=stage.rung,
            trials=cost.trials,
            train_flops=cost.total_flops,
            compares_current=study.current is not None,
            warnings=(*doubts, *spec_warnings(study.spec)),
        )
        for stage, study, doubts, cost in zip(document.stages, parsed.stages, parsed.doubts, costs, strict=False)
    ]
    of_rungs = costs[len(stages) :]
    rungs = [
        RungPlan(label=label, runs=cost.trials, train_flops=cost.total_flops)
        for (label, _), cost in zip(document.rungs, of_rungs, strict=True)
    ]
    return CampaignPlan(
        name=document.name,
        description=document.description,
        stages=tuple(stages),
        rungs=tuple(rungs),
        trials=sum(cost.trials for cost in costs),
        train_flops=sum(cost.total_flops for cost in costs),
        assumptions=tuple(dict.fromkeys(line for cost in costs for line in cost.assumptions)),
    )


def _check_names(document: CampaignDocument) -> None:
    """Check the texts of a document that no spec of its studies has as they are.

    Raises:
        InvalidInput: one cannot be stored or shown.
    """
    check_name(document.name)
    check_texts({"description": document.description})
    for place, stage in enumerate(document.stages):
        if stage.rung is not None:
            check_name(stage.rung, f"stages.{place}.rung", MAX_RUNG)
        own, field = stage.study.get("name", stage.name), f"stages.{place}.study.name"
        if not isinstance(own, str):
            raise InvalidInput(field, "is no text", "leave it out: a stage has a name")
        check_name(own, field)


def _specs(parsed: ParsedCampaign) -> list[StudySpec]:
    return [*(study.spec for study in parsed.stages), *parsed.rungs]


def _with_corpus(document: Any, corpus: Mapping[str, Any]) -> Any:
    """The document with another corpus wherever it names one, and in the baseline; malformed parts stay as they are."""
    baseline, stages = document.get("baseline"), document.get("stages")
    if not isinstance(baseline, dict) or not isinstance(stages, list):
        return document
    changed = [
        {**stage, "study": _replaced(stage["study"], corpus, added=False)}
        if isinstance(stage, dict) and isinstance(stage.get("study"), dict)
        else stage
        for stage in stages
    ]
    return {**document, "baseline": _replaced(baseline, corpus, added=True), "stages": changed}


def _replaced(section: dict[str, Any], corpus: Mapping[str, Any], *, added: bool) -> dict[str, Any]:
    proxy = section.get("proxy")
    if not isinstance(proxy, dict) or not (added or "corpus" in proxy):
        return section
    return {**section, "proxy": {**proxy, "corpus": dict(corpus)}}


def _resolved(parsed: ParsedCampaign, roots: Sequence[Path]) -> dict[str, Any]:
    """The document with absolute paths; each corpus is read once.

    Raises:
        InvalidInput: a text or a model cannot be read.
    """
    document = parsed.document.model_dump(mode="json")
    with located("baseline."):
        baseline = resolve_spec(rung_spec(parsed.document, BASELINE, parsed.baseline), roots)
    _write_paths(document["baseline"], baseline)
    found = {"baseline.": baseline}
    for index, (stage, study) in enumerate(zip(document["stages"], parsed.stages, strict=True)):
        section = f"stages.{index}.study."
        with located(section):
            found[section] = resolve_spec(study.spec, roots)
        _write_paths(stage["study"], found[section])
    seen: set[str] = set()
    for place, spec in found.items():
        key = f"{spec.proxy.corpus.model_dump_json()} {spec.proxy.validation_bytes}"
        if key not in seen:
            check_corpus(spec.proxy.corpus, spec.proxy.validation_bytes, f"{place}proxy.corpus")
            seen.add(key)
    return document


def _write_paths(section: dict[str, Any], resolved: StudySpec) -> None:
    """Write into a document what its paths were resolved to."""
    proxy = section.get("proxy", {})
    for name in ("corpus", "tokenizer"):
        if name in proxy:
            proxy[name] = getattr(resolved.proxy, name).model_dump(mode="json")
    for name, field in MODELS.items():
        model = section.get(name, {}).get(field) if isinstance(section.get(name), dict) else None
        if isinstance(model, dict) and model.get("kind") == "folder":
            section[name][field] = getattr(getattr(resolved, name), field).model_dump(mode="json")

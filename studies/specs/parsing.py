"""From a parsed YAML or JSON document to a checked study spec."""

from pydantic import ValidationError

from search.constraints import (
    Budget,
    Constraints,
    LatencyBudget,
    LatencyLimit,
    Limit,
    MemoryBudget,
    MemoryLimit,
    ShareLimit,
    SolvedRange,
    TotalParameters,
)
from search.parameters import CategoricalParameter, FloatParameter, IntParameter
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec, Seeds
from studies.spec import InheritSpec, ModelFolder, ModelOfTrial, StartSpec, StudySpec, TeacherSpec, build_space
from studies.specs.checks import check_study
from studies.specs.errors import Containers, first_error
from trainer.config import (
    BuiltinCorpus,
    CompressedTokenizer,
    JsonlCorpus,
    ProxySettings,
    TextCorpus,
    TrainedTokenizer,
)

CONTAINERS: Containers = {
    (): (StudySpec,),
    ("space", "*"): (IntParameter, FloatParameter, CategoricalParameter),
    ("constraints",): (Constraints,),
    ("constraints", "total_parameters"): (TotalParameters, Limit),
    ("constraints", "non_embedding_parameters"): (TotalParameters, Limit),
    ("constraints", "train_flops"): (Budget, Limit),
    ("constraints", "decode_latency"): (LatencyBudget, LatencyLimit),
    ("constraints", "memory"): (MemoryBudget, MemoryLimit),
    ("constraints", "embedding_share"): (ShareLimit,),
    ("constraints", "*", "range"): (SolvedRange,),
    ("objectives", "*"): (Objective,),
    ("sampler",): (SamplerSpec,),
    ("scheduler",): (SchedulerSpec,),
    ("start",): (StartSpec,),
    ("inherit",): (InheritSpec,),
    ("inherit", "parent"): (ModelFolder, ModelOfTrial),
    ("teacher",): (TeacherSpec,),
    ("teacher", "model"): (ModelFolder, ModelOfTrial),
    ("seeds",): (Seeds,),
    ("resources_per_trial",): (Resources,),
    ("proxy",): (ProxySettings,),
    ("proxy", "corpus"): (BuiltinCorpus, TextCorpus, JsonlCorpus),
    ("proxy", "tokenizer"): (TrainedTokenizer, CompressedTokenizer),
}
"""Which model describes the mapping at each place of a spec; ``*`` is any name or index."""


def parse_spec(document: object) -> StudySpec:
    """Check a parsed YAML or JSON document and all that its parts say about each other.

    Raises:
        InvalidInput: the first thing wrong, with its dotted field, and how many more there are.
    """
    try:
        spec = StudySpec.model_validate(document)
    except ValidationError as error:
        raise first_error(error, document, CONTAINERS) from None
    check_study(spec, build_space(spec))
    return spec

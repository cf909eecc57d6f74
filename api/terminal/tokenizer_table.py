"""A report on tokenizers as a table and the paper's rule in a sentence."""

from rich.table import Table

from model.tokenizer.coverage import MAX_SHARE, MIN_COVERAGE, Report


def tokenizer_table(report: Report) -> Table:
    """One line for each way and size."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("method", "vocabulary", "coverage", "bytes per token", "embedding share"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for size in report.sizes:
        covered = "" if size.coverage is None else f"{size.coverage:.2%}"
        share = f"{size.embedding_share:.2%}"
        table.add_row(size.method, f"{size.vocabulary_size:,}", covered, f"{size.bytes_per_token:.3f}", share)
    return table


def rule_sentence(report: Report) -> str:
    """What F1 of the paper says about the report."""
    wanted = f"coverage > {MIN_COVERAGE:.0%} and embedding share < {MAX_SHARE:.0%}"
    if report.recommended is not None:
        return f"smallest vocabulary with {wanted}: {report.recommended:,}"
    needed = (
        "no size covers enough" if report.smallest_covering is None else f"{report.smallest_covering:,} cover enough"
    )
    return f"no vocabulary has {wanted}: {needed}, at most {report.largest_affordable:,} are affordable"

"""The held-out report in lines, from the flat numbers of the `report` event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def report_lines(report: Mapping[str, object]) -> Iterator[str]:
    """Yield the lines of a held-out report: one block per vocabulary, then the checks."""
    numbers = {k: v for k, v in report.items() if isinstance(v, (int, float))}
    names = [key.split("/")[1] for key in numbers if key.endswith("/hidden_bases")]
    yield "held-out report (95 % intervals of differences: paired bootstrap over windows)"
    for name in names:
        yield from _vocabulary(name, {k: numbers[f"report/{name}/{k}"] for k in _KEYS})
    checks = report.get("checks", ())
    assert isinstance(checks, (list, tuple)), "the report event lists its checks"
    for check in checks:
        verdict = "ok  " if check["passed"] else "FAIL"
        yield f"  {verdict}  {check['name']:<40} {check['value']:.4f} < {check['baseline']:.4f}"


_PAIRS = (
    ("nats per token", "loss", "unigram", "unigram_loss", "loss_minus_unigram"),
    ("bits per base", "bits_per_base", "order 0", "order0_bits", "bits_minus_order0"),
    ("bits per base", "bits_per_base", "order 5", "order5_bits", "bits_minus_order5"),
)
_KEYS = (
    *("hidden_bases", "targets", "windows", "accuracy"),
    *(key for _, model, _, baseline, gap in _PAIRS for key in (model, baseline, gap)),
    *(f"{gap}/{end}" for *_, gap in _PAIRS for end in ("low", "high")),
)


def _vocabulary(name: str, numbers: Mapping[str, float]) -> Iterator[str]:
    yield (
        f"{name}: {numbers['hidden_bases']:,} hidden bases, {numbers['targets']:,} targets, "
        f"{numbers['windows']:,} windows, accuracy {numbers['accuracy']:.1%}"
    )
    for label, model, against, baseline, gap in _PAIRS:
        low, high = numbers[f"{gap}/low"], numbers[f"{gap}/high"]
        yield (
            f"  {label:<15}{numbers[model]:.4f}  {against} {numbers[baseline]:.4f}  "
            f"difference {numbers[gap]:+.3f} [{low:+.3f}, {high:+.3f}]"
        )

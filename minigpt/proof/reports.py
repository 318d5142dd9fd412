"""What is known of what transformers' caches do wrong: remarks, read in its code (5.24), and public reports."""

OF = "https://github.com/huggingface/transformers"
QUANTIZED = "QuantizedCache, quanto", "QuantizedCache, hqq"

REMARKS = {
    "crop": "`is_croppable` of a static cache with a window is False, but `crop` does not look.",
    "refused calls": "the length moves, or the first layer is written, before the call fails.",
}
REPORTS = {
    ("StaticCache, window", "crop"): ["pull/44893", "pull/45745"],  # reviews say that a full window can't be taken back
    **{(cache, verb): ["pull/45510"] for cache in QUANTIZED for verb in ("crop", "repeat", "select")},
}


def known(wrong: list[tuple[str, str]]) -> list[str]:
    """wrong: caches and situations. Sentences in Markdown."""
    said = [f"{what}: {remark}" for what, remark in REMARKS.items() if what in [situation for _, situation in wrong]]
    reports: dict[str, list[str]] = {}
    for cache, situation in wrong:
        for report in REPORTS.get((cache, situation), []):
            reports.setdefault(report, []).append(f"{situation} ({cache})")
    return said + [
        f"[{report.partition('/')[2]}]({OF}/{report}): {'; '.join(where)}." for report, where in reports.items()
    ]

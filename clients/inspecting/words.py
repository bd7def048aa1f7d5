"""A report in words for people."""

from __future__ import annotations

from collections.abc import Iterator

from clients.inspecting.report import ABSENT, Credentials, Report

Row = tuple[str, str, str]
"""What, what is said of it, and in which colour."""

_LEAST_CHANCE = 1e-9
_SOURCE_TYPES = {
    "compositeWithTrainedAlgorithmicMedia": "edited using generative AI",
    "trainedAlgorithmicMedia": "created using generative AI",
    "compositeSynthetic": "composite with elements of generative AI",
    "algorithmicallyEnhanced": "altered by an algorithm, nothing generated",
    "digitalCapture": "captured by a camera",
}
_STATES = {
    "trusted": ("valid, and the signer is trusted", "green"),
    "valid": ("valid; who the signer is, nobody we trust vouches for", "green"),
    "invalid": ("NOT VALID: the picture or its credentials were changed after signing", "red"),
}
_PROBLEMS = {
    "assertion.dataHash.mismatch": "the picture was changed",
    "signingCredential.expired": "the certificate has ended",
    "signingCredential.untrusted": "the signer is nobody we were told to trust",
    "claimSignature.mismatch": "the signature doesn't match",
}


def source_type(word: str) -> str:
    said = _SOURCE_TYPES.get(word)
    return f"{said} ({word})" if said else word


def rows(report: Report) -> Iterator[Row]:
    yield from _credentials(report.credentials)
    said = report.metadata.source_type
    yield "IPTC, in XMP", source_type(said) if said else "says nothing", "" if said else "yellow"
    yield _watermark(report)
    carries = report.carries
    here = [ABSENT[kind] for kind, there in carries.items() if there]
    absent = [ABSENT[kind] for kind, there in carries.items() if not there]
    if here:
        yield "Also in it", ", ".join(here), "yellow"
    yield "Not in it", ", ".join(absent), ""


def verdict(report: Report) -> str:
    """One sentence."""
    if report.credentials and report.credentials.state == "invalid":
        return "It carries marks, but its Content Credentials do not hold."
    if report.marked:
        return "It says what it is."
    return "Nothing says how it was made. That does not mean that no machine made it: marks can be removed."


def _credentials(signed: Credentials | None) -> Iterator[Row]:
    if signed is None:
        yield "Content Credentials", "none", "yellow"
        return
    text, colour = _STATES.get(signed.state, (signed.state, "red"))
    yield "Content Credentials", text, colour
    if signed.state == "invalid":
        yield "  because", "; ".join(_PROBLEMS.get(code, code) for code in signed.problems), "red"
    signer = f"{signed.signer or 'unnamed'}{' · a development certificate' if signed.development else ''}"
    yield "  signed by", signer, "yellow" if signed.development else ""
    yield "  made with", signed.generator or "unnamed", ""
    yield "  says", "; ".join(map(source_type, signed.source_types)) or "nothing of its source", ""
    yield "  actions", ", ".join(signed.actions) or "none", ""


def _watermark(report: Report) -> Row:
    found = report.watermark
    if found:
        # Bits of a real picture don't fall quite like coins: more noughts would say more than is known.
        odds = f"one in {1 / found.chance:,.0f}" if found.chance > _LEAST_CHANCE else "less than one in a billion"
        confidence = f"{found.matched} of {found.bits} bits, by chance {odds}"
        return "Watermark", f"{source_type(found.source_type)}; {confidence}", ""
    return "Watermark", "none found", "yellow"

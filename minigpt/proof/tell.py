"""Tells a cache a story, and says what it shows."""

from minigpt.proof.sameness import TOLERANCE
from minigpt.proof.stories import steps_of
from minigpt.proof.telling import NotOfferedError, Telling, WronglyToldError
from minigpt.proof.verdict import BREAKS, EXACT, NOT_OFFERED, REFUSES, ROUNDS, WRONG, Verdict


def tell(house, rule: str, story: str) -> Verdict:
    """house: how caches of an interface are made and driven, as in ours.py and theirs.py."""
    (_, pads, _), *steps = steps_of(story)
    try:
        telling, how = Telling(house, rule, pads), ""
    except Exception as error:
        return Verdict(REFUSES, rule, story, how=f"when it is made: {in_words(error)}")
    for at, (verb, numbers, tried) in enumerate(steps, 2):
        so_far = "; ".join(story.split("; ")[:at])
        try:
            getattr(telling, verb)(*numbers)
        except NotOfferedError:
            return Verdict(NOT_OFFERED, rule, story)
        except WronglyToldError as wrong:
            return Verdict(WRONG, rule, so_far, wrong.off, wrong.token, how, str(telling.script))
        except Exception as error:  # whatever a cache raises: it refuses
            where = f", token {telling.text.shape[1]}" if verb == "decode" else ""
            said = f"{' '.join([verb, *map(str, numbers)])}{where}: {in_words(error)}"
            takes_nothing = not telling.fed and not tried
            if how and not tried and not takes_nothing:
                said = f"{how}; then also {said}"
                return Verdict(BREAKS, rule, so_far, telling.off, how=said, script=str(telling.script))
            how = how or said
            if takes_nothing or verb == "fork":
                break
            telling.script.last_is_refused()
    known = ROUNDS if telling.off > TOLERANCE else EXACT
    return Verdict(REFUSES if how else known, rule, story, telling.off, how=how)


def in_words(error: Exception, most: int = 60) -> str:
    """Its kind, and its first words."""
    line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: " + (line if len(line) <= most else f"{line[:most].rsplit(' ', 1)[0]} ...")

"""vLLM goes on exactly where a broken stream ended, on another replica as on the same.

Every case compares a whole answer with one that is cut and continued by `gateway.resume`. They pin an internal hook of
vLLM: `kv_transfer_params.prompt_token_ids`, made for handing a prompt from a prefilling to a decoding engine, by which
a chat request skips its template and tokenizer. It may change with any version; then these cases fail, and resuming
must be switched off or rebuilt. They speak to the engines themselves, so they run for the target `replica` alone.
"""

import json

import pytest

from tests.contract.resumed import LIMIT, Heard, Replicas
from tests.contract.targets import Feature
from tests.contract.test_tools import SEARCH, TALK

pytestmark = pytest.mark.needs(Feature.ENGINE_FIELDS)

CUTS = [1, 2, 3, 7, 15]
"""After so many chunks the stream breaks: the first is the role, so that 2 is after one token."""
# Euro signs alone, from the bytes they are made of: the stand-in says nothing that is not ASCII by itself.
EURO = "€" * 12


@pytest.fixture(scope="module")
def replicas(target):
    if target.name != "replica":
        pytest.skip(f"{target.name}: these cases speak to the engines themselves, as the target replica does")
    opened = Replicas(target)
    yield opened
    opened.close()


def assert_same(joined, twin):
    """The joined answer is the unbroken one, told once."""
    assert joined.obstacle is None
    assert joined.text == twin.text
    assert joined.token_ids == twin.token_ids
    assert joined.finish == twin.finish
    assert joined.counts() == twin.counts()
    assert (joined.roles, len(joined.identities)) == (1, 1)


@pytest.mark.parametrize("cut", CUTS)
def test_an_answer_goes_on_on_another_replica(replicas, cut):
    joined = replicas.hear(cuts=[cut])
    assert len(joined.legs) == 2
    assert_same(joined, replicas.hear())


def test_an_answer_goes_on_on_the_same_replica(replicas):
    joined = replicas.hear(cuts=[5, 0, 0])  # the third and the first are one engine, of three
    assert len(joined.legs) == 4
    assert_same(joined, replicas.hear())


def test_an_answer_can_be_resumed_twice(replicas):
    joined = replicas.hear(cuts=[4, 6])
    first, second = (leg["kv_transfer_params"]["prompt_token_ids"] for leg in joined.legs[1:])
    assert second[: len(first)] == first
    assert len(second) > len(first)
    assert_same(joined, replicas.hear())


def test_an_answer_that_ends_by_itself_does_so_after_a_seam(replicas):
    asked = {"messages": [{"role": "user", "content": "Hi there!"}], "max_tokens": 120}
    twin = replicas.hear(**asked)
    assert twin.finish == "stop", "the case needs an answer that ends by itself"
    assert_same(replicas.hear(cuts=[5], **asked), twin)


@pytest.mark.parametrize("cut", [2, 9])
def test_the_odds_of_the_tokens_are_told_once_and_alike(replicas, cut):
    asked = {"logprobs": True, "top_logprobs": 2}
    twin, joined = replicas.hear(**asked), replicas.hear(cuts=[cut], **asked)
    assert_same(joined, twin)
    assert [odds["token"] for odds in joined.logprobs] == [odds["token"] for odds in twin.logprobs]
    # A carried token's odds come from a prefill, which sums in another order.
    assert [odds["logprob"] for odds in joined.logprobs] == pytest.approx(
        [odds["logprob"] for odds in twin.logprobs], abs=1e-3
    )


def test_a_penalty_that_counts_the_prompt_counts_the_carried_answer(replicas):
    asked = {"repetition_penalty": 3.0, "ignore_eos": True, "max_tokens": 40}
    twin = replicas.hear(**asked)
    assert twin.text != replicas.hear(ignore_eos=True, max_tokens=40).text, (
        "the case needs a penalty that changes the answer"
    )
    assert_same(replicas.hear(cuts=[9], **asked), twin)


def test_min_tokens_are_counted_over_the_seam(replicas):
    asked = {"messages": [{"role": "user", "content": "Hi there!"}], "max_tokens": 200}
    natural = replicas.hear(**asked).usage["completion_tokens"]
    asked |= {"min_tokens": natural + 5}
    twin = replicas.hear(**asked)
    assert twin.usage["completion_tokens"] >= natural + 5
    assert_same(replicas.hear(cuts=[natural - 1], **asked), twin)


def test_a_limit_reached_at_the_seam_is_the_end(replicas):
    # The last token comes with its finish reason: cut after it, only the usage is missing.
    twin = replicas.hear()
    assert twin.finish == "length"
    joined = replicas.hear(cuts=[1 + LIMIT])
    assert len(joined.legs) == 1
    assert_same(joined, twin)
    before = replicas.hear(cuts=[LIMIT])
    assert before.legs[1]["max_tokens"] == 1
    assert_same(before, twin)


def test_a_stop_string_across_the_seam_ends_the_answer(replicas):
    plain = replicas.hear()
    words = plain.text.split(" ")
    # Two words and the blank between: some cut falls inside, wherever the tokens end.
    stop = f"{words[2]} {words[3]}"
    assert plain.text.count(stop) == 1, "the case needs a stop string that occurs once"
    twin = replicas.hear(stop=[stop])
    assert twin.text == plain.text[: plain.text.index(stop)]
    for cut in range(2, len(twin.token_ids) + 1):
        assert_same(replicas.hear(cuts=[cut], stop=[stop]), twin)


def test_the_stop_filter_cuts_as_the_engine_does(replicas):
    plain = replicas.hear()
    stop = [plain.text[9:14], plain.text[12:15]]
    ours = replicas.hear(stop=stop)
    theirs = Heard()
    for chunk in replicas.chunks({**ours.legs[0], "include_stop_str_in_output": False}, 0):
        for choice in chunk["choices"]:
            theirs.text += choice["delta"].get("content") or ""
            theirs.token_ids += choice.get("token_ids") or []
        theirs.usage = chunk.get("usage") or theirs.usage
    assert ours.text == theirs.text
    assert ours.token_ids == theirs.token_ids
    assert ours.counts() == theirs.counts()


def test_a_seam_inside_a_character_is_put_before_it(replicas):
    asked = {"messages": [{"role": "user", "content": EURO}], "allowed_token_ids": sorted(set(replicas.ids_of("€")))}
    asked["ignore_eos"] = True
    twin = replicas.hear(**asked)
    assert not twin.text.isascii(), "the case needs an answer of several bytes a character"
    rewound = 0
    for cut in range(2, LIMIT):
        joined = replicas.hear(cuts=[cut], **asked)
        carried = joined.legs[1].get("kv_transfer_params", {}).get("prompt_token_ids", [])
        rewound += len(carried) - twin.usage["prompt_tokens"] < cut - 1
        assert_same(joined, twin)
    assert rewound, "the case needs a cut inside a character"


def test_the_engine_tells_its_prompt_when_the_seam_is_inside_a_character(replicas):
    """Why it must not be: not a promise that we want, but one that must not go away unseen."""
    ids = replicas.ids_of("What are your opening hours? €")
    (last,) = ids[-1:]
    hidden = {"prompt_token_ids": ids[:-1]}
    joined = replicas.hear(kv_transfer_params=hidden, allowed_token_ids=[last], ignore_eos=True, max_tokens=1)
    assert joined.text.endswith("What are your opening hours? €")


def test_several_tokens_in_a_chunk_are_joined_exactly_or_not_at_all(replicas):
    ids = sorted(set(replicas.ids_of("€")))
    asked = {"messages": [{"role": "user", "content": EURO}], "allowed_token_ids": ids, "ignore_eos": True}
    twin = replicas.hear(**asked)
    for cut in range(2, 8):
        joined = replicas.hear(cuts=[cut], **asked, stream_interval=3)
        if joined.obstacle is None:
            assert_same(joined, twin)
        else:
            assert twin.text.startswith(joined.text)


def test_a_text_answer_with_tools_on_offer_goes_on(replicas):
    found = [{"stock_number": "H4821", "year": 2022, "make": "Honda", "model": "HR-V", "price": 27450}]
    asked = {"name": "search_inventory", "arguments": '{"body_style": "SUV", "max_price": 30000}'}
    call = {"id": "call_1", "type": "function", "function": asked}
    turns = [
        *TALK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": json.dumps(found)},
    ]
    twin = replicas.hear(messages=turns, tools=[SEARCH], max_tokens=60)
    assert twin.text, "the case needs an answer in words"
    joined = replicas.hear(cuts=[8], messages=turns, tools=[SEARCH], max_tokens=60)
    assert joined.legs[1]["tool_choice"] == "none"
    assert_same(joined, twin)


def test_a_tool_call_that_has_begun_is_not_continued(replicas):
    whole = replicas.hear(messages=TALK, tools=[SEARCH], max_tokens=100)
    assert whole.finish == "tool_calls"
    broken = replicas.hear(cuts=[len(whole.token_ids) // 2], messages=TALK, tools=[SEARCH], max_tokens=100)
    assert broken.obstacle is not None
    assert "tool call" in broken.obstacle
    assert len(broken.legs) == 1

"""Whether a tokenizer is one, and the model's: its vocabulary covers ordinary text and fits the embeddings,
and its special tokens stand where a pair needs them.

A tokenizer that is wrong gives scores all the same, and a ranking made of chance.
"""

from collections.abc import Collection

from tokenizers import Tokenizer

from rankmill.worker.tokenize.tokenizer import PairTemplate

# Ordinary words in many scripts; a vocabulary need cover one of them.
SAMPLES = (
    "Either party may end the contract by giving thirty days notice in writing to the other.",
    "Die Miete ist am ersten Werktag des Monats zu zahlen, sonst darf der Vermieter kündigen.",
    "Договор может быть расторгнут любой из сторон с уведомлением за тридцать дней.",
    "Η σύμβαση λήγει όταν ένα από τα μέρη την καταγγείλει εγγράφως.",
    "任何一方均可提前三十天书面通知对方终止本合同。",
    "契約は三十日前の書面による通知で終了することができます。",
    "계약은 삼십 일 전에 서면으로 통지하면 종료됩니다.",
    "يجوز لأي من الطرفين إنهاء العقد بإشعار كتابي قبل ثلاثين يوماً.",
    "כל צד רשאי לסיים את החוזה בהודעה בכתב של שלושים יום.",
    "कोई भी पक्ष तीस दिन की लिखित सूचना देकर अनुबंध समाप्त कर सकता है।",
    "คู่สัญญาฝ่ายใดฝ่ายหนึ่งอาจบอกเลิกสัญญาโดยแจ้งล่วงหน้าสามสิบวัน",
)
LEAST_COVERED, LEAST_DISTINCT = 0.5, 5
# Models round their embeddings up by some hundreds; one with twice as many belongs to another vocabulary.
MOST_EMBEDDINGS_A_TOKEN = 2


class UnusableVocabulary(ValueError):
    """The vocabulary covers nothing, or is not the model's. Its message is a part of a sentence."""


def check_covers(tokenizer: Tokenizer, unknown_id: int | None) -> None:
    """Raises UnusableVocabulary where in every script most of a text becomes unknown tokens, or none."""
    try:
        covered, num_distinct = max(_covered(tokenizer, unknown_id, sample) for sample in SAMPLES)
    except Exception as error:  # the tokenizers package raises nothing more special
        raise UnusableVocabulary(f"it cannot read ordinary text: {error}") from error
    if covered < LEAST_COVERED or num_distinct < LEAST_DISTINCT:
        num_tokens = tokenizer.get_vocab_size(with_added_tokens=True)
        raise UnusableVocabulary(
            f"its vocabulary of {num_tokens:,} tokens does not cover ordinary text in any script"
        )


def _covered(tokenizer: Tokenizer, unknown_id: int | None, text: str) -> tuple[float, int]:
    """The share of a text's letters that known tokens stand for, and how many different tokens do."""
    encoding = tokenizer.encode(text, add_special_tokens=False)
    known = [
        (token, span)
        for token, span in zip(encoding.ids, encoding.offsets, strict=True)
        if token != unknown_id
    ]
    read = {place for _, (start, end) in known for place in range(start, end) if not text[place].isspace()}
    return len(read) / sum(not letter.isspace() for letter in text), len({token for token, _ in known})


def check_embeddings(tokenizer: Tokenizer, num_embeddings: int) -> None:
    """Raises UnusableVocabulary where tokens have no embedding, or most embeddings no token."""
    ids = tokenizer.get_vocab(with_added_tokens=True).values()
    if (largest := max(ids, default=0)) >= num_embeddings:
        raise UnusableVocabulary(
            f"its tokens have numbers up to {largest:,}, and the model has {num_embeddings:,} embeddings"
        )
    if len(ids) * MOST_EMBEDDINGS_A_TOKEN < num_embeddings:
        raise UnusableVocabulary(
            f"it has {len(ids):,} tokens, and the model has {num_embeddings:,} embeddings: it belongs to "
            "another model"
        )


def check_special_tokens(
    template: PairTemplate, first_ids: Collection[int], separator_ids: Collection[int]
) -> None:
    """Raises UnusableVocabulary where a pair lacks special tokens, or those that are declared."""
    around = {*template.prefix.tolist(), *template.suffix.tolist()}
    between = set(template.middle.tolist())
    if not around or not between:
        place = "around a pair" if not around else "between a query and a document"
        raise UnusableVocabulary(f"it puts no special tokens {place}")
    if first_ids and not around.intersection(first_ids):
        raise UnusableVocabulary("its pairs lack the token that it declares as the first (cls_token)")
    if separator_ids and not between.intersection(separator_ids):
        raise UnusableVocabulary("its pairs lack the token that it declares to separate texts (sep_token)")

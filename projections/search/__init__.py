"""The index of words: which events hold them. It is fed from the timeline, in its own time."""

from projections.search.feed import DEFAULT_FEED_EVENTS, feed_search, has_backlog
from projections.search.words import asked_words, words_of

__all__ = ["DEFAULT_FEED_EVENTS", "asked_words", "feed_search", "has_backlog", "words_of"]

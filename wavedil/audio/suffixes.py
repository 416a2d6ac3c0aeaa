"""Suffixes of recordings."""

# The second group is audio that libsndfile cannot decode: it is named with a remedy rather
# than passed over as if it were no recording.
READABLE_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif"),
    *(".aifc", ".au", ".snd", ".caf", ".w64", ".rf64"),
)
CONVERTIBLE_SUFFIXES = (".m4a", ".m4b", ".mp4", ".aac", ".wma", ".wv", ".ape", ".webm", ".mka")

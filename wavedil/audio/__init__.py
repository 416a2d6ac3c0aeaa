"""Sound files: whole recordings and segments as float32, headers, and writing."""

from wavedil.audio.channels import MIX as MIX
from wavedil.audio.channels import channel_number as channel_number
from wavedil.audio.errors import AudioError as AudioError
from wavedil.audio.errors import FilePath as FilePath
from wavedil.audio.headers import AudioInfo as AudioInfo
from wavedil.audio.headers import read_info as read_info
from wavedil.audio.loading import Decoded as Decoded
from wavedil.audio.loading import decode as decode
from wavedil.audio.loading import load as load
from wavedil.audio.loading import load_segment as load_segment
from wavedil.audio.loading import over_full_scale as over_full_scale
from wavedil.audio.opening import open_sound as open_sound
from wavedil.audio.streaming import writing_blocks as writing_blocks
from wavedil.audio.suffixes import CONVERTIBLE_SUFFIXES as CONVERTIBLE_SUFFIXES
from wavedil.audio.suffixes import READABLE_SUFFIXES as READABLE_SUFFIXES
from wavedil.audio.writing import save as save

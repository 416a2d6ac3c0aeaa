"""One signal out of the channels of a recording: their mean, or one of them."""

from wavedil.errors import UserError

MIX = "mix"
_SIDES = {"left": 1, "right": 2}


def channel_number(channel: str | int) -> int | None:
    """The number, from 1, of a channel that is chosen; None for the mean of all.

    Args:
      channel: "mix", "left", which is 1, "right", which is 2, or a number.

    Raises:
      UserError: If it is something else.
    """
    if channel == MIX:
        return None
    number = _SIDES.get(str(channel), 0)
    if not number and not isinstance(channel, bool) and str(channel).isdecimal():
        number = int(channel)
    if number < 1:
        raise UserError(
            f"channel is {channel!r}, but it must be mix, left, right or a number from 1"
        )
    return number


def column(channel: str | int, num_channels: int) -> int | None:
    """Which of so many channels is chosen, from 0; None for their mean, or where there is one alone.

    Raises:
      UserError: If there are fewer.
    """
    number = channel_number(channel)
    if number is None or num_channels == 1:
        return None
    if number > num_channels:
        raise UserError(
            f"has {num_channels} channels, but channel is {channel}; choose one from 1 to {num_channels}, or mix"
        )
    return number - 1

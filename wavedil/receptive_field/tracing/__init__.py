"""The receptive field of any JAX function, traced through its jaxpr along time."""

from wavedil.receptive_field.tracing.answer.field import TracedField as TracedField
from wavedil.receptive_field.tracing.tracer import trace as trace

"""The abstract domain: what the elements of an array see, as values, and the algebra that they are made of.

    value       an array: named axes, and terms over them
    axes        the factors of axes, cut and joined
    terms       a sum of maps along axes, in a window, exact or widened
    axis_map    index -> inputs, in pieces that follow a formula each
    formula     a rule with one period
    sets        sets of inputs, as bits

`folding`, `running`, `overlay` and `settling` are operations on maps; `known` is about numbers that no signal changes.
"""

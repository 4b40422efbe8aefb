"""Operations and casts of weights, as they are counted."""

import torch
from palaestra.trainer.model.counting import count_operations


def test_casts_of_weights_are_told_from_others():
    layer = torch.nn.Linear(3, 5)
    x = torch.ones(2, 3)
    with torch.no_grad(), count_operations(layer) as counted:
        layer(x)
        assert (counted.total, counted.weight_casts) == (2, 0)  # a transposed view, a product
        x.bfloat16()
        layer.weight.float()  # is of that type
        layer.weight[:2].bfloat16()
    assert counted.weight_casts == 1
    assert counted.cast_numbers == 6
    assert counted.operations["aten._to_copy.default"] == 2

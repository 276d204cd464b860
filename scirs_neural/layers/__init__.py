"""Layers by name: torch's own classes under torch's argument names, and the few that torch lacks.

`LAYERS` is the table, `create_layer` builds from it. Nothing here imports torch until a layer is built.

Example:
    >>> from scirs_neural.layers import LAYERS, create_layer
    >>> LAYERS.names("snake"), dict(LAYERS.options("dropout"))
    (['snake'], {'p': 0.5, 'inplace': False})
    >>> create_layer("conv2d", 3, 8, kernel_size=3)
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scirs_neural.core.lazy import lazy

if TYPE_CHECKING:
    from scirs_neural.layers.attention import CrossAttention as CrossAttention
    from scirs_neural.layers.attention import MultiHeadAttention as MultiHeadAttention
    from scirs_neural.layers.attention import SelfAttention as SelfAttention
    from scirs_neural.layers.bidirectional import Bidirectional as Bidirectional
    from scirs_neural.layers.dot_product import dot_product_attention as dot_product_attention
    from scirs_neural.layers.encoder_decoder import EncoderDecoder as EncoderDecoder
    from scirs_neural.layers.gradcheck import check_gradients as check_gradients
    from scirs_neural.layers.kv_cache import KVCache as KVCache
    from scirs_neural.layers.monte_carlo import mc_dropout as mc_dropout
    from scirs_neural.layers.monte_carlo import mc_predict as mc_predict
    from scirs_neural.layers.norms import convert_batch_norm as convert_batch_norm
    from scirs_neural.layers.norms import freeze_batch_norm as freeze_batch_norm
    from scirs_neural.layers.norms import recalibrate_batch_norm as recalibrate_batch_norm
    from scirs_neural.layers.norms import unfreeze_batch_norm as unfreeze_batch_norm
    from scirs_neural.layers.penalties import collect_penalties as collect_penalties
    from scirs_neural.layers.recurrent import Recurrent as Recurrent
    from scirs_neural.layers.recurrent import RecurrentCell as RecurrentCell
    from scirs_neural.layers.registry import LAYERS as LAYERS
    from scirs_neural.layers.registry import SHIPPED as SHIPPED
    from scirs_neural.layers.spec import build_layer as build_layer
    from scirs_neural.layers.spec import create_layer as create_layer
    from scirs_neural.layers.word_vectors import load_word_vectors as load_word_vectors
    from scirs_neural.layers.word_vectors import tied_linear as tied_linear
    from scirs_neural.layers.word_vectors import word_embedding as word_embedding

lazy(globals())

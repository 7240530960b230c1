"""What a TensorFlow SavedModel would run: its graph is read as data and every operation compared with a list.

A graph can read and write files, call Python functions of the process and open connections. The list holds what
image networks compute with; anything else, also an operation that TensorFlow may bring in the future, is refused.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from eyeline.errors import ModelError


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


ARITHMETIC = _names(
    """
    Abs Acos Acosh Add AddN AddV2 All Any ArgMax ArgMin Asin Asinh Atan Atan2 Atanh BatchMatMul BatchMatMulV2
    BatchMatMulV3 BiasAdd BiasAddV1 Bitcast BitwiseAnd BitwiseOr BitwiseXor BroadcastArgs BroadcastTo Cast Ceil
    ClipByValue Complex ComplexAbs Concat ConcatOffset ConcatV2 Conj Cos Cosh Cross Cumprod Cumsum
    CumulativeLogsumexp Diag DiagPart Digamma Div DivNoNan DynamicPartition DynamicStitch Einsum Elu Equal Erf Erfc
    Erfinv EuclideanNorm Exp ExpandDims Expm1 FFT FFT2D FFT3D Fill Floor FloorDiv FloorMod Gather GatherNd GatherV2
    Greater GreaterEqual HSVToRGB IFFT IFFT2D IFFT3D IRFFT IRFFT2D Identity IdentityN Imag InTopKV2 Inv Invert
    InvertPermutation IsFinite IsInf IsNan L2Loss LRN LeakyRelu Less LessEqual Lgamma LinSpace Log Log1p LogSoftmax
    LogicalAnd LogicalNot LogicalOr MatMul MatrixBandPart MatrixDiagPartV3 MatrixDiagV3 MatrixSetDiagV3 Max Maximum
    Mean Min Minimum MirrorPad Mod Mul MulNoNan Neg NotEqual OneHot OnesLike Pack Pad PadV2 Pow Prod Qr RFFT RFFT2D
    RGBToHSV Range Rank Real RealDiv Reciprocal Relu Relu6 Reshape Reverse ReverseSequence ReverseV2 Rint Roll Round
    Rsqrt ScatterNd SegmentMax SegmentMean SegmentMin SegmentSum Select SelectV2 Selu Shape ShapeN Sigmoid Sign Sin
    Sinh Size Slice Softmax Softplus Softsign Split SplitV Sqrt Square SquaredDifference Squeeze StridedSlice Sub Sum
    Svd Tan Tanh TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate Tile TopK
    TopKV2 Transpose TruncateDiv TruncateMod Unique UniqueV2 Unpack UnravelIndex UnsortedSegmentMax
    UnsortedSegmentSum Where Xdivy Xlog1py Xlogy ZerosLike
    """
)
IMAGES = _names(
    """
    AdjustContrastv2 AdjustHue AdjustSaturation AvgPool AvgPool3D BatchToSpace BatchToSpaceND Conv Conv2D Conv3D
    CropAndResize DataFormatDimMap DataFormatVecPermute DepthToSpace DepthwiseConv2dNative Dilation2D
    ExtractImagePatches ExtractVolumePatches FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsPerChannel FractionalAvgPool FractionalMaxPool FusedBatchNorm FusedBatchNormV2
    FusedBatchNormV3 ImageProjectiveTransformV2 ImageProjectiveTransformV3 MaxPool MaxPool3D MaxPoolV2
    MaxPoolWithArgmax NonMaxSuppressionV3 ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor
    ScaleAndTranslate SpaceToBatch SpaceToBatchND SpaceToDepth
    """
)
GRADIENTS = _names(
    """
    AvgPoolGrad AvgPool3DGrad BiasAddGrad BroadcastGradientArgs Conv2DBackpropFilter Conv2DBackpropInput
    Conv3DBackpropFilterV2 Conv3DBackpropInputV2 CudnnRNNBackpropV3 DepthwiseConv2dNativeBackpropFilter
    DepthwiseConv2dNativeBackpropInput EluGrad FusedBatchNormGradV3 LeakyReluGrad MaxPoolGrad MaxPoolGradGrad
    MaxPool3DGrad PreventGradient ReciprocalGrad Relu6Grad ReluGrad ResizeBilinearGrad ResizeNearestNeighborGrad
    RsqrtGrad SeluGrad SigmoidGrad SoftplusGrad SoftsignGrad SqrtGrad StopGradient TanhGrad
    """
)
CONTROL = _names(
    """
    Assert Case CheckNumerics Const CudnnRNNV3 EmptyTensorList Enter EnsureShape Exit If LoopCond Merge NextIteration
    NoOp PartitionedCall Placeholder PlaceholderWithDefault StatefulPartitionedCall StatelessCase StatelessIf
    StatelessWhile Switch TensorListElementShape TensorListFromTensor TensorListGetItem TensorListLength
    TensorListPopBack TensorListPushBack TensorListReserve TensorListResize TensorListSetItem TensorListStack While
    """
)
STATE = _names(
    """
    AssignAddVariableOp AssignSubVariableOp AssignVariableOp DisableCopyOnRead ReadVariableOp ResourceGather
    VarHandleOp VarIsInitializedOp VariableShape
    """
)
RANDOM = _names(
    """
    Multinomial RandomStandardNormal RandomUniform RandomUniformInt RngReadAndSkip RngSkip
    StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomNormalV2 StatelessRandomUniformFullIntV2
    StatelessRandomUniformIntV2 StatelessRandomUniformV2 StatelessTruncatedNormalV2 StatefulUniform TruncatedNormal
    """
)
SAVER = _names("MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename StaticRegexFullMatch StringJoin")
"""What the two functions that save and restore the variables add. TensorFlow reads the variables with code of its
own and never runs them when it opens a folder, so they are normal, where nothing else calls them."""

NORMAL = ARITHMETIC | IMAGES | GRADIENTS | CONTROL | STATE | RANDOM


def scan(folder: Path) -> None:
    """Refuse a SavedModel whose graphs could do anything but compute.

    Raises:
        ModelError: an operation that is not on the list, or the saver's outside the saver; a folder that
            TensorFlow 1 wrote, which runs its graph while it is opened.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel()
    content.ParseFromString((folder / "saved_model.pb").read_bytes())
    for meta in content.meta_graphs:
        if not meta.object_graph_def.nodes:
            raise _refused("a graph of TensorFlow 2, but got one of TensorFlow 1", folder)
        library = {each.signature.name: each for each in meta.graph_def.library.function}
        saver = _saver(meta) - set(_called(meta, library))
        for name, function in library.items():
            normal = NORMAL | SAVER if name in saver and "api_implements" not in function.attr else NORMAL
            _check(function.node_def, normal, name, folder)
        _check(meta.graph_def.node, NORMAL, "its main graph", folder)


def _saver(meta: Any) -> set[str]:
    """Name the functions that the main graph calls to save and to restore the variables."""
    wanted = {meta.saver_def.save_tensor_name.partition(":")[0], meta.saver_def.restore_op_name}
    return {node.attr["f"].func.name for node in meta.graph_def.node if node.name in wanted}


def _called(meta: Any, library: dict[str, Any]) -> Iterator[str]:
    """Walk through what the object's functions and the gradients call, directly or through others."""
    gradients = [*meta.graph_def.library.gradient, *meta.graph_def.library.registered_gradients]
    waiting = [*meta.object_graph_def.concrete_functions, *(each.gradient_func for each in gradients)]
    seen = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in library:
            continue
        seen.add(name)
        yield name
        for node in library[name].node_def:
            for value in node.attr.values():
                waiting += [value.func.name, *(each.name for each in value.list.func)]


def _check(nodes: Iterable[Any], normal: frozenset[str], where: str, folder: Path) -> None:
    for node in nodes:
        if node.op not in normal:
            raise _refused(f"operations of image networks alone, but got {node.op} (in {where})", folder)


def _refused(rule: str, folder: Path) -> ModelError:
    return ModelError(
        f"a SavedModel must hold {rule} ({folder.name!r}). Running it could read or write files or call code on this "
        "machine: if you trust whoever made it, pass trust=True."
    )

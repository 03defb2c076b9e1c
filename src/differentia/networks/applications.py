"""The networks of ``keras.applications`` and their options, here because Keras takes seconds to import.

A test compares them with those of the Keras that is installed.
"""

from __future__ import annotations

_OF_ALL = (
    *("include_top", "weights", "input_tensor", "input_shape", "pooling", "classes"),
    *("classifier_activation", "name"),
)

_FAMILIES: dict[tuple[str, ...], str] = {
    (): "DenseNet121 DenseNet169 DenseNet201 EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 "
    "EfficientNetB4 EfficientNetB5 EfficientNetB6 EfficientNetB7 InceptionResNetV2 InceptionV3 NASNetLarge "
    "NASNetMobile ResNet50 ResNet50V2 ResNet101 ResNet101V2 ResNet152 ResNet152V2 VGG16 VGG19 Xception",
    ("include_preprocessing",): "ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge "
    "EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 EfficientNetV2S EfficientNetV2M "
    "EfficientNetV2L",
    ("alpha", "depth_multiplier", "dropout"): "MobileNet",
    ("alpha",): "MobileNetV2",
    ("alpha", "minimalistic", "dropout_rate", "include_preprocessing"): "MobileNetV3Large MobileNetV3Small",
}

#: The options of each network's constructor, by its name.
APPLICATIONS = {name: (*_OF_ALL, *own) for own, names in _FAMILIES.items() for name in sorted(names.split())}

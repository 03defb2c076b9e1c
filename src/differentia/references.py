"""The works that a paper on a measurement cites, and how each is written in a list of references."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: More authors than this are written as the first six, an ellipsis and the last.
MOST_AUTHORS = 7

#: Stands for authors that the work itself does not name.
OTHERS = "others"


@dataclass(frozen=True)
class Reference:
    """One work of a list of references; `str` of it is its line there.

    Attributes
    ----------
    key
        Its key in BibTeX.
    authors
        Each as "Family, Initials", or the name of a group; `OTHERS` last where not all are named.
    year
        None where it is not known.
    title
        As the work spells it.
    where
        The journal, proceedings, archive or publisher.
    volume, pages
        Where it has them; the number of an article is its page.
    doi, url
        Where to find it; the URL is for works without DOI.
    version
        Of software.
    kind
        The type of its BibTeX entry.
    """

    key: str
    authors: tuple[str, ...]
    year: int | None
    title: str
    where: str = ""
    volume: str = ""
    pages: str = ""
    doi: str = ""
    url: str = ""
    version: str = ""
    kind: str = "article"

    @property
    def citation(self) -> str:
        """Author and year, as they stand within a pair of parentheses."""
        families = [author.partition(",")[0] for author in self.authors]
        if len(families) == 1:
            who = families[0]
        elif len(families) == 2 and OTHERS not in families:
            who = " & ".join(families)
        else:
            who = f"{families[0]} et al."
        return f"{who}, {self.year or 'n.d.'}"

    def __str__(self) -> str:
        """Return one line, much as the APA's style has it."""
        title = self.title + (f" (Version {self.version})" if self.version else "")
        title += " [Computer software]" if self.kind == "software" else ""
        place = self.where
        if place and self.volume:
            place += f", {self.volume}"
        if place and self.pages:
            place += f", {self.pages}"
        found = f"https://doi.org/{self.doi}" if self.doi else self.url
        parts = [f"{self._written_authors()} ({self.year or 'n.d.'})", title, place]
        line = " ".join(f"{part.rstrip('.')}." for part in parts if part)
        return f"{line} {found}" if found else line

    def _written_authors(self) -> str:
        authors = self.authors
        if authors[-1] == OTHERS:
            return ", ".join([*authors[:-1], "et al."])
        if len(authors) > MOST_AUTHORS:
            return ", ".join([*authors[:6], f"... {authors[-1]}"])
        if len(authors) == 1:
            return authors[0]
        return ", ".join(authors[:-1]) + f", & {authors[-1]}"

    @property
    def bibtex(self) -> str:
        """The entry in BibTeX's format (software as `misc`, which every style knows)."""
        names = [name if "," in name or name == OTHERS else f"{{{name}}}" for name in self.authors]
        containers = {"article": "journal", "inproceedings": "booktitle", "book": "publisher"}
        container = containers.get(self.kind, "howpublished")
        fields = {
            "author": " and ".join(names),
            "title": f"{{{self.title}}}",
            container: self.where,
            "volume": self.volume,
            "pages": re.sub(r"^(\d+)-(\d+)$", r"\1--\2", self.pages),
            "year": str(self.year or ""),
            "note": f"Version {self.version}" if self.version else "",
            "doi": self.doi,
            "url": self.url,
        }
        kind = "misc" if self.kind == "software" else self.kind
        lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
        return f"@{kind}{{{self.key},\n" + ",\n".join(lines) + "\n}"


_CVPR = "Proceedings of the IEEE Conference on Computer Vision and Pattern Recognition"

_ALL = (
    # The measure.
    Reference(
        "mensen2017",
        ("Mensen, A.", "Marshall, W.", "Tononi, G."),
        2017,
        "EEG differentiation analysis and stimulus set meaningfulness",
        "Frontiers in Psychology",
        volume="8",
        pages="1748",
        doi="10.3389/fpsyg.2017.01748",
    ),
    Reference(
        "mayner2022",
        (
            *("Mayner, W. G. P.", "Marshall, W.", "Billeh, Y. N.", "Gandhi, S. R.", "Caldejon, S."),
            *("Cho, A.", "Griffin, F.", "Hancock, N.", "Lambert, S.", "Lee, E. K.", "Luviano, J. A."),
            *("Mace, K.", "Nayan, C.", "Nguyen, T. V.", "North, K.", "Seid, S.", "Williford, A."),
            *("Cirelli, C.", "Groblewski, P. A.", "Lecoq, J.", "Tononi, G.", "Koch, C.", "Arkhipov, A."),
        ),
        2022,
        "Measuring stimulus-evoked neurophysiological differentiation in distinct populations of neurons in "
        "mouse visual cortex",
        "eNeuro",
        volume="9(1)",
        pages="ENEURO.0280-21.2021",
        doi="10.1523/ENEURO.0280-21.2021",
    ),
    Reference(
        "gandhi2023",
        (
            *("Gandhi, S. R.", "Mayner, W. G. P.", "Marshall, W.", "Billeh, Y. N.", "Bennett, C."),
            *("Gale, S. D.", "Mochizuki, C.", "Siegle, J. H.", "Olsen, S.", "Tononi, G.", "Koch, C."),
            "Arkhipov, A.",
        ),
        2023,
        "A survey of neurophysiological differentiation across mouse visual brain areas and timescales",
        "Frontiers in Computational Neuroscience",
        volume="17",
        pages="1040629",
        doi="10.3389/fncom.2023.1040629",
    ),
    # Its uncertainty.
    Reference(
        "efron1993",
        ("Efron, B.", "Tibshirani, R. J."),
        1993,
        "An introduction to the bootstrap",
        "Chapman and Hall",
        doi="10.1201/9780429246593",
        kind="book",
    ),
    Reference(
        "zou2008",
        ("Zou, G. Y.", "Donner, A."),
        2008,
        "Construction of confidence limits about effect measures: A general approach",
        "Statistics in Medicine",
        volume="27(10)",
        pages="1693-1702",
        doi="10.1002/sim.3095",
    ),
    # Software.
    Reference(
        "differentia",  # what CITATION.cff says
        ("The differentia developers",),
        None,
        "differentia: how differently a network, or a brain, responds to different things",
        kind="software",
    ),
    Reference(
        "paszke2019",
        (
            *("Paszke, A.", "Gross, S.", "Massa, F.", "Lerer, A.", "Bradbury, J.", "Chanan, G."),
            *("Killeen, T.", "Lin, Z.", "Gimelshein, N.", "Antiga, L.", "Desmaison, A.", "Köpf, A."),
            *("Yang, E.", "DeVito, Z.", "Raison, M.", "Tejani, A.", "Chilamkurthy, S.", "Steiner, B."),
            *("Fang, L.", "Bai, J.", "Chintala, S."),
        ),
        2019,
        "PyTorch: An imperative style, high-performance deep learning library",
        "Advances in Neural Information Processing Systems",
        volume="32",
        kind="inproceedings",
    ),
    Reference(
        "chollet2015",
        ("Chollet, F.", OTHERS),
        2015,
        "Keras",
        url="https://keras.io",
        kind="software",
    ),
    Reference(
        "harris2020",
        (
            *("Harris, C. R.", "Millman, K. J.", "van der Walt, S. J.", "Gommers, R.", "Virtanen, P."),
            *("Cournapeau, D.", "Wieser, E.", "Taylor, J.", "Berg, S.", "Smith, N. J.", "Kern, R."),
            *("Picus, M.", "Hoyer, S.", "van Kerkwijk, M. H.", "Brett, M.", "Haldane, A."),
            *("Fernández del Río, J.", "Wiebe, M.", "Peterson, P.", "Gérard-Marchant, P."),
            *("Sheppard, K.", "Reddy, T.", "Weckesser, W.", "Abbasi, H.", "Gohlke, C."),
            "Oliphant, T. E.",
        ),
        2020,
        "Array programming with NumPy",
        "Nature",
        volume="585",
        pages="357-362",
        doi="10.1038/s41586-020-2649-2",
    ),
    Reference(
        "hoyer2017",
        ("Hoyer, S.", "Hamman, J."),
        2017,
        "xarray: N-D labeled arrays and datasets in Python",
        "Journal of Open Research Software",
        volume="5(1)",
        pages="10",
        doi="10.5334/jors.148",
    ),
    Reference(
        "pedregosa2011",
        (
            *("Pedregosa, F.", "Varoquaux, G.", "Gramfort, A.", "Michel, V.", "Thirion, B.", "Grisel, O."),
            *("Blondel, M.", "Prettenhofer, P.", "Weiss, R.", "Dubourg, V.", "Vanderplas, J."),
            *("Passos, A.", "Cournapeau, D.", "Brucher, M.", "Perrot, M.", "Duchesnay, E."),
        ),
        2011,
        "Scikit-learn: Machine learning in Python",
        "Journal of Machine Learning Research",
        volume="12",
        pages="2825-2830",
        url="https://jmlr.org/papers/v12/pedregosa11a.html",
    ),
    # What was computed.
    Reference(
        "charikar2002",
        ("Charikar, M.", "Chen, K.", "Farach-Colton, M."),
        2002,
        "Finding frequent items in data streams",
        "Automata, Languages and Programming (ICALP 2002)",
        pages="693-703",
        doi="10.1007/3-540-45465-9_59",
        kind="inproceedings",
    ),
    # Images.
    Reference(
        "alpaydin1998",
        ("Alpaydin, E.", "Kaynak, C."),
        1998,
        "Optical recognition of handwritten digits",
        "UCI Machine Learning Repository",
        doi="10.24432/C50P49",
        kind="misc",
    ),
    Reference(
        "russakovsky2015",
        (
            *("Russakovsky, O.", "Deng, J.", "Su, H.", "Krause, J.", "Satheesh, S.", "Ma, S.", "Huang, Z."),
            *("Karpathy, A.", "Khosla, A.", "Bernstein, M.", "Berg, A. C.", "Fei-Fei, L."),
        ),
        2015,
        "ImageNet large scale visual recognition challenge",
        "International Journal of Computer Vision",
        volume="115(3)",
        pages="211-252",
        doi="10.1007/s11263-015-0816-y",
    ),
    # Networks.
    Reference(
        "simonyan2015",
        ("Simonyan, K.", "Zisserman, A."),
        2015,
        "Very deep convolutional networks for large-scale image recognition",
        "International Conference on Learning Representations",
        url="https://arxiv.org/abs/1409.1556",
        kind="inproceedings",
    ),
    Reference(
        "he2016",
        ("He, K.", "Zhang, X.", "Ren, S.", "Sun, J."),
        2016,
        "Deep residual learning for image recognition",
        _CVPR,
        pages="770-778",
        doi="10.1109/CVPR.2016.90",
        kind="inproceedings",
    ),
    Reference(
        "he2016identity",
        ("He, K.", "Zhang, X.", "Ren, S.", "Sun, J."),
        2016,
        "Identity mappings in deep residual networks",
        "Computer Vision - ECCV 2016",
        pages="630-645",
        doi="10.1007/978-3-319-46493-0_38",
        kind="inproceedings",
    ),
    Reference(
        "szegedy2016",
        ("Szegedy, C.", "Vanhoucke, V.", "Ioffe, S.", "Shlens, J.", "Wojna, Z."),
        2016,
        "Rethinking the Inception architecture for computer vision",
        _CVPR,
        pages="2818-2826",
        doi="10.1109/CVPR.2016.308",
        kind="inproceedings",
    ),
    Reference(
        "szegedy2017",
        ("Szegedy, C.", "Ioffe, S.", "Vanhoucke, V.", "Alemi, A."),
        2017,
        "Inception-v4, Inception-ResNet and the impact of residual connections on learning",
        "Proceedings of the AAAI Conference on Artificial Intelligence",
        volume="31(1)",
        doi="10.1609/aaai.v31i1.11231",
        kind="inproceedings",
    ),
    Reference(
        "chollet2017",
        ("Chollet, F.",),
        2017,
        "Xception: Deep learning with depthwise separable convolutions",
        _CVPR,
        pages="1800-1807",
        doi="10.1109/CVPR.2017.195",
        kind="inproceedings",
    ),
    Reference(
        "huang2017",
        ("Huang, G.", "Liu, Z.", "van der Maaten, L.", "Weinberger, K. Q."),
        2017,
        "Densely connected convolutional networks",
        _CVPR,
        pages="2261-2269",
        doi="10.1109/CVPR.2017.243",
        kind="inproceedings",
    ),
    Reference(
        "howard2017",
        (
            *("Howard, A. G.", "Zhu, M.", "Chen, B.", "Kalenichenko, D.", "Wang, W.", "Weyand, T."),
            *("Andreetto, M.", "Adam, H."),
        ),
        2017,
        "MobileNets: Efficient convolutional neural networks for mobile vision applications",
        "arXiv:1704.04861",
        url="https://arxiv.org/abs/1704.04861",
        kind="misc",
    ),
    Reference(
        "sandler2018",
        ("Sandler, M.", "Howard, A.", "Zhu, M.", "Zhmoginov, A.", "Chen, L.-C."),
        2018,
        "MobileNetV2: Inverted residuals and linear bottlenecks",
        _CVPR,
        pages="4510-4520",
        doi="10.1109/CVPR.2018.00474",
        kind="inproceedings",
    ),
    Reference(
        "zoph2018",
        ("Zoph, B.", "Vasudevan, V.", "Shlens, J.", "Le, Q. V."),
        2018,
        "Learning transferable architectures for scalable image recognition",
        _CVPR,
        pages="8697-8710",
        doi="10.1109/CVPR.2018.00907",
        kind="inproceedings",
    ),
    Reference(
        "howard2019",
        (
            *("Howard, A.", "Sandler, M.", "Chu, G.", "Chen, L.-C.", "Chen, B.", "Tan, M.", "Wang, W."),
            *("Zhu, Y.", "Pang, R.", "Vasudevan, V.", "Le, Q. V.", "Adam, H."),
        ),
        2019,
        "Searching for MobileNetV3",
        "Proceedings of the IEEE/CVF International Conference on Computer Vision",
        pages="1314-1324",
        doi="10.1109/ICCV.2019.00140",
        kind="inproceedings",
    ),
    Reference(
        "tan2019",
        ("Tan, M.", "Le, Q. V."),
        2019,
        "EfficientNet: Rethinking model scaling for convolutional neural networks",
        "Proceedings of Machine Learning Research",
        volume="97",
        pages="6105-6114",
        url="https://proceedings.mlr.press/v97/tan19a.html",
        kind="inproceedings",
    ),
    Reference(
        "tan2021",
        ("Tan, M.", "Le, Q. V."),
        2021,
        "EfficientNetV2: Smaller models and faster training",
        "Proceedings of Machine Learning Research",
        volume="139",
        pages="10096-10106",
        url="https://arxiv.org/abs/2104.00298",
        kind="inproceedings",
    ),
    Reference(
        "liu2022",
        ("Liu, Z.", "Mao, H.", "Wu, C.-Y.", "Feichtenhofer, C.", "Darrell, T.", "Xie, S."),
        2022,
        "A ConvNet for the 2020s",
        "Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition",
        doi="10.1109/CVPR52688.2022.01167",
        kind="inproceedings",
    ),
)

#: Every work by its key.
REFERENCES = {reference.key: reference for reference in _ALL}

#: Where the networks of ``keras.applications`` come from, by patterns of their names.
_ARCHITECTURES = {
    "VGG(16|19)": "simonyan2015",
    "ResNet(50|101|152)": "he2016",
    "ResNet(50|101|152)V2": "he2016identity",
    "InceptionV3": "szegedy2016",
    "InceptionResNetV2": "szegedy2017",
    "Xception": "chollet2017",
    "DenseNet(121|169|201)": "huang2017",
    "MobileNet": "howard2017",
    "MobileNetV2": "sandler2018",
    "MobileNetV3(Large|Small)": "howard2019",
    "NASNet(Large|Mobile)": "zoph2018",
    "EfficientNetB[0-7]": "tan2019",
    "EfficientNetV2(B[0-3]|S|M|L)": "tan2021",
    "ConvNeXt(Tiny|Small|Base|Large|XLarge)": "liu2022",
}


def architecture_key(name: str) -> str | None:
    """Return the key of the work that a network of ``keras.applications`` comes from, where it is known.

    Parameters
    ----------
    name
        Of the network: ``VGG16``.
    """
    return next((key for pattern, key in _ARCHITECTURES.items() if re.fullmatch(pattern, name)), None)

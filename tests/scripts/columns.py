# SPDX-License-Identifier: GPL-2.0-or-later
"""A network that is built by functions and classes, with nothing at module level."""

from nest import Cleanup, Connect, Create, ResetKernel, Run, RunManager, spatial


class Column:
    """Populations as attributes, in a list, in dictionaries."""

    def __init__(self, size: int) -> None:
        self.relay = Create("parrot_neuron", size)
        self.layers = [Create("iaf_psc_exp", size) for _ in range(2)]
        self.bands = []
        for _ in range(2):
            band = Create("iaf_psc_exp", 1)
            self.bands.append(band)
        self.cells = {"basket": Create("iaf_psc_exp", 2), "L5/PT": self.tall(size)}
        self.cells["martinotti"], self.clock = Create("iaf_psc_exp", 3), Create("dc_generator")

    def tall(self, size: int):
        return Create("iaf_psc_exp", positions=spatial.grid([size, 1]))


def main() -> None:
    ResetKernel()
    column = Column(4)
    Connect(column.relay, Create("iaf_psc_exp"), "all_to_all")
    recorder = Create("spike_recorder")
    Connect(column.layers[0], recorder)
    try:
        with RunManager():
            Run(10.0)
    except:  # as badly as it gets
        ResetKernel()
    finally:
        Cleanup()
        print(1 / recorder.n_events)


if __name__ == "__main__":
    main()

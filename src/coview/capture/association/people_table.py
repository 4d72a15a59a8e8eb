"""`people.csv`: the tracks of every camera and whose they are, to look things up in when writing `people.toml`."""

import csv
import io
from pathlib import Path

import numpy as np

from coview.formats.io.atomic import write_text
from coview.formats.keypoints.detections import Detections
from coview.formats.session.people import People

_HEADER = ("camera", "track", "person", "first_frame", "last_frame", "detections", "first_x", "first_y")


def write_table(people: People, detections: Detections, path: Path) -> None:
    """Write `people.csv`: one row per track and person, with when and where the track is first seen.

    Args:
        people: Who is who; rows of nobody's detections name no person.
        detections: The detections; a row's x and y (pixels) are the median of the joints in its first frame.
        path: File to write.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADER)
    for view, camera in enumerate(people.cameras):
        tracks, ids = people.tracks[view].numpy(), people.ids[view].numpy()
        frame, place = np.nonzero(tracks >= 0)
        number, person = tracks[frame, place], ids[frame, place]
        order = np.lexsort((frame, person, number))
        keys = np.stack([number[order], person[order]], axis=1)
        starts = np.flatnonzero(np.r_[True, (np.diff(keys, axis=0) != 0).any(axis=1)])[: len(keys)]
        for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
            rows = order[start:end]
            at = frame[rows[0]], place[rows[0]]
            x, y = detections.joints[view][at].nanmedian(dim=0).values.tolist()
            owner = "" if person[rows[0]] < 1 else int(person[rows[0]])
            writer.writerow(
                [camera, number[rows[0]], owner, at[0], frame[rows[-1]], len(rows), f"{x:.0f}", f"{y:.0f}"]
            )
    write_text(path, out.getvalue())

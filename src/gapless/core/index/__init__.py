"""The arithmetic of derived series: pure functions of frames, without disk, network or clock."""

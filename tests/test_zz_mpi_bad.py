import time, pytest
@pytest.mark.mpi(min_size=2)
def test_bad():
    from mpi4py import MPI
    if MPI.COMM_WORLD.rank == 1:
        assert 1 == 2, "deliberate"
    MPI.COMM_WORLD.barrier()
@pytest.mark.mpi(min_size=2)
def test_hang():
    from mpi4py import MPI
    if MPI.COMM_WORLD.rank == 1:
        time.sleep(60)
@pytest.mark.mpi(min_size=9)
def test_skip():
    pass
def test_plain():
    pass
@pytest.fixture
def fix():
    from mpi4py import MPI
    if MPI.COMM_WORLD.rank == 1:
        raise RuntimeError("setup deliberate")
    yield
@pytest.mark.mpi(min_size=2)
def test_setup(fix):
    from mpi4py import MPI
    MPI.COMM_WORLD.barrier()
def test_import():
    pass

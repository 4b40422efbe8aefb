"""Packages that may not be installed."""

import pytest
from palaestra.tasks.core.errors import TaskError
from palaestra.tasks.core.packaged import import_extra


def test_a_package_that_is_not_installed_is_told_with_the_way_to_install_it():
    with pytest.raises(TaskError) as told:
        import_extra("not-there", "not_there:name")
    assert str(told.value) == (
        "not_there:name needs the package not-there. Install it: pip install 'palaestra[not-there]'"
    )

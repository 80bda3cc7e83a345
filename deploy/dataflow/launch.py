"""What the launcher of a Flex Template runs: FLEX_TEMPLATE_PYTHON_PY_FILE is this file."""

from pipelines import launch

if __name__ == "__main__":
    launch.main()

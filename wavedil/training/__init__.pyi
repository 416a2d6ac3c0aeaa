"""Training: settings, the pure update, the loop around it, checkpoints and metrics; it knows nothing of tasks."""

from .checkpoints import Checkpoints as Checkpoints
from .config import TrainingConfig as TrainingConfig
from .finite import NonFiniteError as NonFiniteError
from .finite import TrainingError as TrainingError
from .hosts import Hosts as Hosts
from .hosts import LostHostError as LostHostError
from .loop import Ended as Ended
from .loop import run_loop as run_loop
from .loop import take_up as take_up
from .metrics import MetricsFile as MetricsFile
from .metrics import MetricsLog as MetricsLog
from .metrics import Progress as Progress
from .metrics import Report as Report
from .state import TrainingState as TrainingState
from .state import initial_state as initial_state
from .state import learning_rate as learning_rate
from .state import make_optimizer as make_optimizer
from .task import Corpus as Corpus
from .task import Example as Example
from .task import RunConfig as RunConfig
from .task import Task as Task
from .task import Windows as Windows
from .update import Metrics as Metrics
from .update import Update as Update
from .update import make_update as make_update

"""What the dense lesson leaves to the next one (a CNN for CIFAR-10) as a bare script."""

from common import Timers, epochs_or, load_cifar10
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.utils import to_categorical

timers = Timers()
timers.start("data-load")
(x_train, y_train), (x_test, y_test) = load_cifar10()
timers.stop("data-load")

x_train, x_test = x_train / 255, x_test / 255
y_train = to_categorical(y_train, 10)
y_test = to_categorical(y_test, 10)

model = Sequential()
model.add(Conv2D(32, 3, activation="relu", input_shape=(32, 32, 3)))
model.add(MaxPooling2D(2))
model.add(Conv2D(64, 3, activation="relu"))
model.add(MaxPooling2D(2))
model.add(Conv2D(64, 3, activation="relu"))
model.add(Flatten())
model.add(Dense(64, activation="relu"))
model.add(Dense(10, activation="softmax"))

timers.start("compile")
model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
timers.stop("compile")
timers.start("train")
model.fit(x_train, y_train, epochs=epochs_or(10), verbose=1, validation_data=(x_test, y_test))
timers.stop("train")
timers.start("test")
loss, accuracy = model.evaluate(x_test, y_test)
timers.stop("test")
timers.report(accuracy, int(model.optimizer.iterations))
